"""An exception of aiohttp as a value: what it proves, and words for a person.

What belongs here: the way from the exception to `core.failures`, which alone says what is proven. What must never: a
rule of its own. What is not in that table proves nothing and leaves the request in doubt.

No trace hooks (`aiohttp.TraceConfig`) help to sort. They could tell whether the headers had been handed to the socket,
but two empty ones cost 19 % of a request (`reference/performance.md` section 1), for each request that goes well, to
spare a look at a few that do not.
"""

from __future__ import annotations

import re

import aiohttp

from migrator.core.failures import proven_by
from migrator.core.model import Failure

BROKEN = (aiohttp.ClientError, OSError)
"""Everything with which aiohttp ends a request that the network or the other side broke. A time-out is an `OSError`."""

_USERINFO = re.compile(r"//[^/\s]*@")


def failure_of(error: BaseException) -> Failure:
    """Sort one of the exceptions of `BROKEN`."""
    return Failure(proven_by(kind.__name__ for kind in type(error).__mro__), describe(error))


def describe(error: BaseException) -> str:
    """Say what went wrong in one line, without the credentials that a URL in it may hold."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no answer within the time-out"
    # Several of aiohttp's exceptions say nothing by themselves.
    text = _USERINFO.sub("//", printable(" ".join(str(error).split())))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(text: str) -> str:
    """Replace what no file can hold: aiohttp marks bytes it cannot decode as lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
