"""From an input file to a plan on disk, checked whole before the first request.

* `draft`: read, parse, merge.
* `lookup`: what rows call by another name than the service's ids.
"""
