"""Points in time: whole microseconds since 1970 inside, text at the doors.

xcore writes microseconds and ``Z``, dps receipts milliseconds and ``Z``, dps reads milliseconds and ``+00:00``
(contract 3.3, 4.3, 4.5, C-29).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


def micros_z(instant_us: int) -> str:
    """An instant as ``2020-10-21T20:50:32.018624Z``."""
    return f"{_second(instant_us // _SECOND_US)}.{instant_us % _SECOND_US:06}Z"


def millis_z(instant_us: int) -> str:
    """An instant as ``2023-05-31T15:09:11.771Z``; what is below a millisecond is cut off."""
    return f"{_second(instant_us // _SECOND_US)}.{instant_us % _SECOND_US // 1000:03}Z"


def millis_offset(instant_us: int) -> str:
    """An instant as ``2023-05-31T15:09:11.771+00:00``; what is below a millisecond is cut off."""
    return f"{millis_z(instant_us).removesuffix('Z')}+00:00"


@lru_cache(maxsize=4096)
def parse(text: str) -> int:
    """Read any of the three forms. The same few dates are in most objects.

    Raises:
        ValueError: the text is not a date and time with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return (moment - _EPOCH) // _MICROSECOND


def is_instant(text: str) -> bool:
    """Whether `parse` can read a text."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _second(instant_s: int) -> str:
    """A whole second; most writes of a rehearsal fall into a few of them."""
    return (_EPOCH + timedelta(seconds=instant_s)).isoformat().removesuffix("+00:00")
