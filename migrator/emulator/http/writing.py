"""Answers as octets."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.emulator.http.messages import Response

LAST_PIECE = b"0\r\n\r\n"
"""What ends a body that was sent piece by piece."""

_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def whole(response: Response, *, to_head: bool, connection: str) -> bytes:
    """An answer whose body is known as a whole.

    Args:
        response: the answer.
        to_head: whether it answers a ``HEAD``, and has only to say how long its body would be.
        connection: what becomes of the connection: ``close``, ``keep-alive``, or "" to say nothing of it.
    """
    body = response.body
    assert isinstance(body, bytes)
    if response.status in _BODILESS:
        return head(response, "", connection)
    top = head(response, f"Content-Length: {len(body)}\r\n", connection)
    return top if to_head else top + body[: response.kept]


def head(response: Response, framing: str, connection: str) -> bytes:
    """What comes before the body.

    Args:
        response: the answer.
        framing: the header line that says where the body ends, or "".
        connection: see `whole`.

    Raises:
        ValueError: a header has a line break in it.
    """
    lines = [f"{name}: {value}\r\n" for name, value in response.headers.items()]
    if "Date" not in response.headers:
        lines.append(_date_line(int(time.time())))
    if connection:
        lines.append(f"Connection: {connection}\r\n")
    fields = "".join(lines)
    if fields.count("\n") != len(lines) or fields.count("\r") != len(lines):
        raise ValueError("a header must not hold a line break")
    return f"{_status_line(response.status)}{fields}{framing}\r\n".encode("utf-8", "surrogateescape")


def piece(octets: bytes) -> bytes:
    """A piece of a body that is sent piece by piece."""
    return b"%x\r\n%b\r\n" % (len(octets), octets)


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {int(status)} {phrase}\r\n"


@lru_cache(maxsize=1)
def _date_line(now_s: int) -> str:
    return f"Date: {formatdate(now_s, usegmt=True)}\r\n"
