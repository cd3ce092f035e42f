"""What runs have written, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from migrator.api.service import reading
from migrator.engine import Verification
from migrator.ledger.checklist import Checklist
from migrator.ledger.folder import RunFolder
from migrator.settings import Settings


@asynccontextmanager
async def verify(run: RunFolder, settings: Settings) -> AsyncIterator[Verification]:
    """Open the way to what `run` has written, to read it back; the run may be running, and its ledger is only read.

    Args:
        run: the run.
        settings: those that `resumed` gives back for it.

    Yields:
        The verification: its `findings` are what is not as it was written, its `tally` counts the rest, too.

    Raises:
        LedgerFailed: the ledger cannot be read.
    """
    with Checklist.opened(run.ledger) as checklist:
        async with reading(settings) as (reader,):
            yield Verification(checklist, reader, concurrency=settings.concurrency)
