"""Exports: objects read from lists into a spool, and from there written as lines, as a spreadsheet, or as texts.

Nothing is written before everything is read: an export that ends in the middle of a list is none. What is read stands
in a file, so that memory does not grow with it, entries that a list repeats are there once, and the header of a
spreadsheet can have all columns.

* `snapshots`: that file, and what stays of it beside a spreadsheet.
* `collecting`: from the service's lists into it.
* `forms`: from it to lines and spreadsheets.
* `texts`: from it to the texts of offers.
"""
