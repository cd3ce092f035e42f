"""Objects read to be written to files."""

from __future__ import annotations

from collections.abc import Collection

from migrator.api.service import reading
from migrator.exporting.collecting import Wanted, Watch, collect, placements_called
from migrator.exporting.snapshots import Spool
from migrator.settings import Settings


async def export(
    settings: Settings, wanted: Wanted, spool: Spool, watch: Watch, placements: Collection[str] = ()
) -> Collection[str]:
    """Read objects into a spool.

    Args:
        settings: where from.
        wanted: which.
        spool: takes them.
        watch: is told what has been read.
        placements: names or ids of placements to look up.

    Returns:
        The ids of `placements`.

    Raises:
        ServiceRefused: the service refuses to be read, or a list cannot be read to its end.
        Stopped: patience ran out.
        UsageError: there is no such placement.
    """
    async with reading(settings) as (reader,):
        found = await placements_called(reader, wanted.containers, placements)
        await collect(reader, wanted, spool, watch)
        return found
