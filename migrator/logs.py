"""Events on stderr: structlog, pretty for a person, JSON lines for a machine.

Names are dotted, `<what>.<happened>`: `run.started`, `run.paused`, `run.progress`, `run.finished`, `step.applied`,
`step.rejected`, `step.in_doubt`, `step.again`, `rate.lowered`. A step's event carries `line`, `container` and `object`;
the ledger has its request id.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import msgspec
import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("migrator")


class _Stderr:
    """Whatever `sys.stderr` is at the moment of writing: a live progress bar replaces it while it is on."""

    # Logging must never decide a run: whoever read our stderr may have gone.
    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(*, json: bool, verbosity: int, colors: bool) -> None:
    """Send events of the wanted weight to stderr.

    Args:
        json: JSON lines instead of text.
        verbosity: 0 for warnings, 1 for every event of a run and every step that failed, 2 for every step.
        colors: whether stderr shows them.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_encode)
        if json
        else structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=18)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )


def _encode(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
