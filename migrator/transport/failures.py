"""What it proves that a request ended with an exception: nothing was sent, or nobody knows.

What belongs here: the one table that tells the two apart (`reference/resumption.md` section 4), and the words for a
person. What must never: a guess. An exception that is not in the table leaves the request in doubt, even if it most
likely came before the first byte: a broken tunnel of a proxy, a time-out of the whole request that was still
connecting. A doubt costs a look; a wrong proof costs a change that is applied twice.
"""

from __future__ import annotations

import re

import aiohttp

from migrator.core.model import Failure, FailureKind

NEVER_SENT = (
    aiohttp.ClientConnectorError,  # refused, name look-up, TLS, a proxy that is down
    aiohttp.ClientHttpProxyError,  # the proxy refused the tunnel
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
)
"""Exceptions that prove that not one byte of the request reached the service. All others leave it in doubt."""

BROKEN = (aiohttp.ClientError, OSError)
"""Everything with which aiohttp ends a request that the network or the other side broke. A time-out is an `OSError`."""

_USERINFO = re.compile(r"//[^/\s]*@")


def failure_of(error: BaseException) -> Failure:
    """Sort one of the exceptions of `BROKEN`."""
    kind = FailureKind.NOT_SENT if isinstance(error, NEVER_SENT) else FailureKind.LOST
    return Failure(kind, describe(error))


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
