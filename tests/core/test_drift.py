"""Drift: what has changed in an object since its change was planned."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from migrator.core.base import Unfit, drift
from migrator.core.model import Base, Touched
from migrator.core.verdict import ErrorClass


def base(etag: int | None, *touched: Touched, fits: bool = True) -> Base:
    return Base(etag, touched if fits else None, b"[]", guarded=False)


NAME = Touched("/name", "Old", "New")
OTHER = Touched("/name", "Theirs", "New")


@pytest.mark.parametrize(
    ("planned", "now", "said"),
    [
        (base(4, NAME), base(4, NAME), ""),
        (base(4, NAME), base(4, OTHER), ""),  # the version says that nothing has changed
        (base(None, NAME), base(None, NAME), ""),
        (base(4, NAME), base(None, NAME), ""),
        (base(4, NAME), base(5, OTHER), 'version 4 then, 5 now; /name was "Old", is "Theirs"'),
        (base(4, NAME), base(6, NAME), "version 4 then, 6 now; not where the change touches it"),
        (base(None, NAME), base(None, OTHER), 'its version is not told; /name was "Old", is "Theirs"'),
        (base(4, NAME), base(5, fits=False), "version 4 then, 5 now; the change does not fit it any more"),
        (
            base(None, NAME),
            base(None, Touched("/name", UNSET, "New")),
            'its version is not told; /name was "Old", is not there',
        ),
        (base(4, NAME), Unfit(ErrorClass.CONFLICT, 'the text is "x"'), 'the text is "x"'),
    ],
)
def test_drift_is_told_by_the_version_and_then_by_the_places(planned: Base, now: Base | Unfit, said: str) -> None:
    assert drift(planned, now) == said
