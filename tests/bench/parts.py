"""What a benchmark consists of: parts, each of which measures something and has lines in the one table.

To add one, write a module with a `PART`, and name it in `PARTS` of `tests/bench/__main__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from rich.console import RenderableType
from rich.table import Table

from tests.bench.rounds import Bench

T = TypeVar("T")


class Figure(Struct, frozen=True, tag="figure"):
    """One line of the table.

    Attributes:
        what: was measured.
        against: what it was set beside in the same rounds, or the bound itself; "" for nothing.
        aim: what it should be, in words; "" if there is no aim.
        measured: what it is, the median of the rounds; or why it could not be measured.
        met: whether the aim is met; `None` if there is none, or nothing was measured.
    """

    what: str
    against: str
    aim: str
    measured: str
    met: bool | None = None


class Place(Struct, frozen=True):
    """Where and how much is measured.

    Attributes:
        folder: for inputs and ledgers.
        client_cpu: the core of what is measured, or `None` for any.
        target_cpu: the core of what it talks to, or `None` for any.
        bench: measures runs against a target that is there already.
        rounds: how often each thing is measured, in turns with what it is set beside.
        quick: whether it is only to be seen that it works.
    """

    folder: Path
    client_cpu: int | None
    target_cpu: int | None
    bench: Bench
    rounds: int
    quick: bool

    def size(self, full: T, quick: T) -> T:
        """Return how much to measure: `full`, or `quick` if it is only to be seen that it works."""
        return quick if self.quick else full


class Part(Struct, frozen=True):
    """Something that is measured by itself: `--only` names it.

    Attributes:
        measure: measures, and returns its results: structs with a tag, for `--json`.
        figures: says what they come to, in lines of the table.
        details: lays them out for who wants to know more, or `None` if the figures say it all.
    """

    measure: Callable[[Place], Iterable[Any]]
    figures: Callable[[Sequence[Any]], Iterable[Figure]]
    details: Callable[[Sequence[Any]], RenderableType] | None = None


_MET = {True: "yes", False: "NO", None: "–"}


def table(figures: Iterable[Figure]) -> Table:
    """Lay out `figures` for a person."""
    shown = Table("what", "against", "aim", title="medians of interleaved rounds; only ratios mean anything elsewhere")
    shown.add_column("measured")
    shown.add_column("met?")
    for figure in figures:
        shown.add_row(figure.what, figure.against, figure.aim, figure.measured, _MET[figure.met])
    return shown
