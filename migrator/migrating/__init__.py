"""Migrations: objects of one endpoint style made anew in the other, each after what it refers to.

::

    source ─collect─▶ spool ─┐                      ┌─▶ a copy: to be made, its references still those of the source
                             ├─▶ catalogues ─map──▶ ├─▶ there already: by the same id, or by its name
    target ─collect─▶ spool ─┘                      └─▶ left alone, or refused, with the reason

Both sides are read to their end before anything is written, so that what is there already is not made twice. What is
planned is a run like any other: rows, steps, stages in the order of reference. A row is one object of the source.

* `route`: from where to where, and in what order.
* `catalogue`: all objects of one side.
* `selecting`: which of the source are wanted.
* `copies`: what becomes of each of these.
* `comparing`: whether both sides say the same, when all is done.
"""
