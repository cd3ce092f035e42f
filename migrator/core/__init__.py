"""Everything that decides: synchronous functions of values.

Nothing in this package awaits, reads a clock, opens a file, talks to a network or draws a random number. What it needs
of those it takes as an argument, so every rule here is tested with a table.
"""

from __future__ import annotations
