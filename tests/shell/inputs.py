"""What the tests of the sources share: a header, a row under it, and all that a source yields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from migrator.core.model import Problem, Row
from migrator.sources import Source, open_source

HEADER = "container,type,id,op,path,value"
ROW = "prod,tag,007,replace,/name,Spring"
CELLS = dict(zip(HEADER.split(","), ROW.split(","), strict=True))


class Write(Protocol):
    """Writes a file, returns its path."""

    def __call__(self, content: str | bytes, name: str = "offers.csv") -> Path: ...


def read(path: Path, **options: Any) -> list[Any]:
    """Everything a source yields."""
    with open_source(path, **options) as source:
        return list(source)


def rows_of(source: Source) -> list[Row]:
    """Everything a source yields, if all of it is rows."""
    items = list(source)
    rows = [item for item in items if isinstance(item, Row)]
    assert rows == items
    return rows


def problem_of(path: Path, **options: Any) -> Problem:
    """The only thing a source yields: a problem."""
    [problem] = read(path, **options)
    assert isinstance(problem, Problem)
    return problem
