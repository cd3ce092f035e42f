"""What the server has seen and done: counters of requests, and the log of effects.

This is what tests and rehearsals hold a client's own story against, so it records what happened here, whether or not
the answer ever arrived.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from migrator.emulator.entities import Style

if TYPE_CHECKING:
    from typing import Any

_SECOND_US = 1_000_000


class Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One write that changed an object.

    Attributes:
        seq: 1 for the first effect since the start or the last reset, then one more each.
        time_us: when, microseconds since 1970.
        style: the endpoint style.
        method: ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        scope: container id (xcore) or sandbox name (dps).
        type: the entity's word.
        id: instance id (xcore) or id (dps).
        etag: the object's etag after the write; None after a delete.
        request_id: the client's ``x-request-id``, or "" when it sent none.
    """

    seq: int
    time_us: int
    style: Style
    method: str
    scope: str
    type: str
    id: str
    etag: int | None
    request_id: str


class Peaks:
    """The most requests that any one-second window saw, per api key."""

    def __init__(self) -> None:
        self._recent: defaultdict[str, deque[int]] = defaultdict(deque)
        self.highest: Counter[str] = Counter()

    def arrived(self, api_key: str, now_us: int) -> None:
        """Count one request. The window is half-open: two requests exactly a second apart are not in one."""
        recent = self._recent[api_key]
        recent.append(now_us)
        while recent[0] <= now_us - _SECOND_US:
            recent.popleft()
        self.highest[api_key] = max(self.highest[api_key], len(recent))

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self.highest.clear()


class Counters:
    """Counts since the start or the last reset.

    Attributes:
        requests: answers of the two styles (not of the token endpoint, not of the admin pages) by method and status.
        rejected_by_rate_limit: requests answered 429.
        tokens_issued: answers of the token endpoint that carried a token.
        warnings: what was tolerated although a stricter service might refuse it, by description.
        peaks: the most requests in one second, by api key; refused requests count.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.tokens_issued = 0
        self.warnings: Counter[str] = Counter()
        self.peaks = Peaks()

    @property
    def rejected_by_rate_limit(self) -> int:
        """Number of requests answered 429."""
        too_many = HTTPStatus.TOO_MANY_REQUESTS
        return sum(number for (_, status), number in self.requests.items() if status == too_many)

    def clear(self) -> None:
        """Begin anew."""
        self.requests.clear()
        self.tokens_issued = 0
        self.warnings.clear()
        self.peaks.clear()

    def state(self) -> dict[str, Any]:
        """The counters as a JSON object."""
        by_method: dict[str, dict[str, int]] = {}
        for (method, status), number in sorted(self.requests.items()):
            by_method.setdefault(method, {})[str(status)] = number
        return {
            "requests": by_method,
            "rejected_by_rate_limit": self.rejected_by_rate_limit,
            "tokens_issued": self.tokens_issued,
            "warnings": self.warnings,
            "peak_requests_per_second": self.peaks.highest,
        }
