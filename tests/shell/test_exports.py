"""What the package exports, and the types that a caller's checker sees: mypy reads those."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import migrator
from migrator import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    async def follow(path: str) -> None:
        settings = assert_type(migrator.load({"sandbox": "dev"}), migrator.Settings)
        async with migrator.preview(path, settings) as entries:
            assert_type(entries, Iterator[migrator.Entry])
        run = assert_type(await migrator.plan(path, settings), migrator.RunFolder)
        async with migrator.apply(run, settings) as outcomes:
            assert_type(outcomes, migrator.Outcomes)
            async for outcome in outcomes:
                assert_type(outcome, migrator.StepOutcome)
                assert_type(outcome.state, migrator.State)
                assert_type(outcome.http_status, int | None)
        assert_type(migrator.summarize(run.ledger), migrator.Summary)
        assert_type(migrator.resumed(run, {}), migrator.Settings)
        assert_type(migrator.rollback(run, settings), migrator.RunFolder)


def test_the_package_exports_what_the_library_does() -> None:
    assert set(migrator.__all__) == {*library.__all__, "__version__"}
    assert all(getattr(migrator, name) is getattr(library, name) for name in library.__all__)
