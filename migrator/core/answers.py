"""What an answer says of itself, whatever it means: its gateway code, its words, how long to wait.

What belongs here: reading bodies and headers that a stranger wrote, of which any part may be missing, cut, or of a type
that nobody has documented. What must never: a decision. What becomes of a step is for `verdict` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec
from msgspec import Struct

from migrator.core.model import Json, Response
from migrator.core.styles.base import decoded

KEPT_CHARACTERS = 500
"""How much of what the service said is kept: some quote the whole object."""


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After` as seconds from now, or `None` if it is absent, empty or nonsense.

    Seconds and HTTP dates are both legal (RFC 9110, 10.2.3). A date is measured against the answer's own `Date` where
    there is one, so that a wrong clock on either side does not matter. A fraction of a second is not legal but clear.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    # Only digits and a point: float() alone would take "nan", "inf", "-5" and "1e9" as well.
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    asked_at = _http_date(headers.get("date", ""))
    return max(0.0, until - (now if asked_at is None else asked_at))


def _http_date(text: str) -> float | None:
    """Read an HTTP date as seconds since the epoch. One without a zone is UTC, as all of them should be."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # the latter for a year beyond what a date can hold
        return None


class ErrorBody(Struct, frozen=True):
    """What the known error bodies say (errors-and-limits section 2); "" or 0 for what is absent or of a wrong type."""

    code: str
    status: int
    words: tuple[str, ...]


_WORDS = ("title", "message", "detail", "errorMessage")

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_member = msgspec.json.Decoder().decode


def error_body(answer: Response) -> ErrorBody | None:
    """Read an error body member by member: one that is not as documented must not hide the others."""
    members = decoded(_decode_members, answer.body)
    if members is None:
        return None

    def member(name: str) -> Json:
        return decoded(_decode_member, bytes(members.get(name, b"")))

    words = tuple(word for name in _WORDS if isinstance(word := member(name), str))
    return ErrorBody(_code(member("error_code")), _status(member("status")), words)


def _code(value: Json) -> str:
    """Read a gateway code, which is a text or a number."""
    return str(value) if isinstance(value, str | int) else ""


def _status(value: Json) -> int:
    """Read an HTTP status, which is a number or its three digits as text."""
    if isinstance(value, str) and len(value) == len("404") and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else 0


def gateway_code(answer: Response) -> str:
    """Return the six-digit code of the gateway in front of the service, or ""."""
    body = error_body(answer)
    return body.code if body else ""


def message_of(answer: Response) -> str:
    """Say in one line what the service said, whatever the shape of its body."""
    body = error_body(answer)
    words = tuple(filter(None, (body.code, *body.words))) if body else ()
    if not words:
        words = (answer.body[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace"),)
    text = " ".join(": ".join(words).split()) or "no body"
    return f"HTTP {answer.status}: " + (text if len(text) <= KEPT_CHARACTERS else text[: KEPT_CHARACTERS - 1] + "…")
