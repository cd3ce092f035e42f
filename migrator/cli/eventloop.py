"""The one door to an event loop: every command that waits for anything goes through here.

uvloop is faster than the loop of the standard library, but not with aiohttp over TLS (`reference/performance.md`
section 1): there it is slower. So where it is installed, by the extra `fast`, it is taken for what it is good for,
unless the settings say otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from migrator.core.errors import UsageError
from migrator.settings import Settings

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], settings: Settings | None = None) -> T:
    """Run `main` to its end.

    Args:
        main: what to do.
        settings: say which loop; the standard one if `None`.

    Raises:
        UsageError: the loop is not installed.
    """
    try:
        factory = None if settings is None else _factory(settings)
    except UsageError:
        main.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the loop, or `None` for the standard one."""
    good_for_it = settings.transport == "lean" or settings.base_url.startswith("http:")
    installed = find_spec("uvloop") is not None
    if settings.event_loop == "asyncio" or (settings.event_loop == "auto" and not (installed and good_for_it)):
        return None
    if not installed:
        hint = "pip install 'offer-migrator[fast]', or leave the setting event_loop at auto"
        raise UsageError("uvloop is not installed", hint)
    import uvloop  # noqa: PLC0415 (of an extra)

    return uvloop.new_event_loop
