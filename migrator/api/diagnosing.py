"""Whether a run would work: this machine, the settings, and the service looked at one after the other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from migrator.api.service import credentials_of, session_of
from migrator.clock import SystemClock
from migrator.core.errors import MigratorError, UsageError
from migrator.core.styles import STYLES
from migrator.diagnosing import Finding, Grade, configuration, machine, service
from migrator.diagnosing.finding import fail, ok, warn
from migrator.settings import Settings, load, require_target
from migrator.transport.http import HttpTransport


async def diagnose(flags: Mapping[str, Any], profile: str | None = None) -> AsyncIterator[Finding]:
    """Look at everything that a run needs, until what is found makes further looks pointless.

    Args:
        flags: settings given on the command line, or by the caller of the library.
        profile: as for `load`.
    """
    yield machine.python()
    yield configuration.environment(os.environ)
    try:
        settings = load(flags, profile=profile)
    except UsageError as error:
        yield fail("settings", error)
        return
    yield configuration.profile(profile)
    yield configuration.settings(settings)
    yield machine.ledger(settings.runs) if settings.fleet is None else await _database(settings)
    try:
        require_target(settings)
    except UsageError as error:
        yield fail("target", error)
        return
    async for finding in _diagnose_service(settings, profile):
        yield finding


async def _database(settings: Settings) -> Finding:
    """See whether the database of the fleet can be used, and who works there."""
    try:
        # Only here, since it needs the extra `fleet`.
        from migrator.api import fleet  # noqa: PLC0415

        async with fleet.runs(settings) as runs:
            workers = await runs.workers()
    except ImportError:
        return fail("ledger", UsageError("a fleet needs more than is installed", "pip install 'offer-migrator[fleet]'"))
    except MigratorError as error:
        return fail("ledger", error)
    there = f"{settings.ledger} can be used"
    if not workers:
        return warn("ledger", f"{there}, and no worker is there", f"migrator worker --ledger {settings.ledger}")
    return ok("ledger", f"{there}; workers: {', '.join(worker.name for worker in workers)}")


async def _diagnose_service(settings: Settings, profile: str | None) -> AsyncIterator[Finding]:
    seen: list[service.Exchange] = []
    async with session_of(settings, service.watch(seen)) as session:
        try:
            credentials = credentials_of(settings, session)
            transport = HttpTransport(session, settings.base_url, credentials, settings.org_id)
        except UsageError as error:
            yield fail("secret", error)
            return
        yield configuration.secret(settings, profile)
        token = await service.token(transport, credentials)
        yield token
        if token.grade is Grade.FAIL:
            return
        answers = service.answers(transport, STYLES[settings.style], settings.sandbox, seen, SystemClock().request_id())
        async for finding in answers:
            yield finding
