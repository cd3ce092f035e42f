"""Events on stderr: structlog, pretty for a person, JSON lines for a machine; and all of them in a file, if wanted.

Names are dotted, `<what>.<happened>`: `run.started`, `run.paused`, `run.progress`, `run.finished`, `step.applied`,
`step.rejected`, `step.in_doubt`, `step.again`, `rate.lowered`. Each attempt for a step ends with one event, which
carries `line`, `container`, `type`, `object`, `kind`, `http_status`, `error` and `message`; the ledger has its request
id. They are written for the asking (`-vv`, or a log file), for one costs a tenth of a request.

No secret has any business here, and none should come this far: what the service answers is cleaned where it comes in
(`transport`). `redact` is the second line, for what nobody has thought of.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec
import structlog

from migrator.core.errors import UsageError

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
"""What an event is called by below an error."""

HIDDEN = "***"

SHORTEST = 10
"""Characters: to blot out every occurrence of a shorter secret would blot out words, and not keep it secret."""

_LOOKS_SECRET = re.compile(
    r"(?i)(?<=bearer )\S+"
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"  # a signed token
    r"|(?<=client_secret=)[^&\s]+|(?<=access_token=)[^&\s]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # what a URL holds before its host
)

_secrets: set[str] = set()


def _wrapped(logger: Any, **parts: Any) -> structlog.typing.BindableLogger:
    """Make a logger as structlog is configured; unless somebody has configured it, one that says nothing.

    By itself structlog would write everything to stdout, which belongs to whoever uses us as a library.
    """
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    wrapper: Any = structlog.get_config()["wrapper_class"] if structlog.is_configured() else silent
    made: structlog.typing.BindableLogger = wrapper(logger, **parts)
    return made


log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
    None, wrapper_class=cast("type[structlog.typing.BindableLogger]", _wrapped), logger_factory_args=("migrator",)
)


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


def hide(secret: str) -> None:
    """Let `secret` never be written: whoever gets hold of one says so first."""
    if len(secret) >= SHORTEST:
        _secrets.add(secret)


def redact(text: str) -> str:
    """Blot out what is known to be a secret, or looks like one."""
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    return _LOOKS_SECRET.sub(HIDDEN, text)


def configure(*, json: bool, verbosity: int, colors: bool, file: Path | None = None) -> None:
    """Send events of the wanted weight to stderr.

    Args:
        json: JSON lines instead of text.
        verbosity: 0 for warnings, 1 for every event of a run and every step that failed, 2 for every step.
        colors: whether stderr shows them.
        file: where all events go as JSON lines, after what is there already.

    Raises:
        UsageError: the file cannot be written.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_encode)
        if json
        else structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=18)
    )
    in_file = [_InFile(file, level)] if file else []
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _redact,
            *in_file,
            structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if file else level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
        elif isinstance(value, list):
            event[name] = [redact(one) if isinstance(one, str) else one for one in value]
    return event


class _InFile:
    """Writes each event to a file, and lets pass what stderr wants."""

    def __init__(self, path: Path, level: int) -> None:
        self._level = level
        try:
            # Appended in one piece each, so that two processes may share a file; the end of the program closes it.
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"the log file {path} cannot be written: {error.strerror}") from error

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        with suppress(OSError):  # a full disk must not decide a run
            stamped = {"timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", **event}
            os.write(self._file, f"{_encode(stamped)}\n".encode())
        if LEVELS.get(method, logging.ERROR) < self._level:
            raise structlog.DropEvent
        return event


def _encode(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
