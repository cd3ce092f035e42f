"""What the server has seen and done: the requests, counters of them, and the log of effects.

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
    from collections.abc import Callable, Iterable
    from typing import Any

    Amend = Callable[[bytes, Style, str], bytes]
    """Makes the JSON of a document that is kept from the one that was to be; told the style and the entity's word."""

_SECOND_US = 1_000_000
_UNANSWERED = 0
"""Stands for a status where there was none: the connection was closed instead."""


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
        etag_before: the object's etag before the write; None before a create.
        api_key: who wrote.
        request_id: the client's ``x-request-id``, or "" when it sent none.
        request: `Exchange.number` of the request that did it; 0 when no client's request did.
    """

    seq: int
    time_us: int
    style: Style
    method: str
    scope: str
    type: str
    id: str
    etag: int | None
    etag_before: int | None = None
    api_key: str = ""
    request_id: str
    request: int = 0


class Exchange(msgspec.Struct, kw_only=True, gc=False):
    """One request, and what became of it. Filled in on the way, and kept in the log of requests.

    Attributes:
        number: 1 for the first request since the start or the last reset, then one more each.
        arrived_us: when it had been read, microseconds since 1970.
        answered_us: when the answer was handed to the network, or the connection closed; None until then.
        method: the HTTP method.
        path: the path with its query, as the client sent it.
        style: ``xcore``, ``dps``, or ``ims`` for the token endpoint; "" for what is none of them.
        api_key: the ``x-api-key``, or "".
        request_id: what goes back as ``X-Request-Id``: the client's own or one made here.
        status: the answer's status; None when there was no answer.
        faults: kinds of the faults that struck it, in the order in which they were due.
        amend: what a fault does to a document on its way into the store; None for nothing, and when all is over.
        breaks: whether a fault ends a patch in the middle.
        behind_us: how far a fault has a list lag behind, in microseconds.
    """

    number: int
    arrived_us: int
    answered_us: int | None = None
    method: str
    path: str
    style: str
    api_key: str
    request_id: str
    status: int | None = None
    faults: tuple[str, ...] = ()
    amend: Amend | None = None
    breaks: bool = False
    behind_us: int = 0


class Requests:
    """The log of requests: the newest of them, up to a number.

    Args:
        size: how many are kept.

    Attributes:
        finished: those that were answered or cut off, the newest last.
        in_flight: number of requests being answered right now.
        most_in_flight: the most that there ever were at once.
    """

    def __init__(self, size: int) -> None:
        self.finished: deque[Exchange] = deque(maxlen=size)
        self.in_flight = 0
        self.most_in_flight = 0
        self._begun = 0

    def begin(self) -> int:
        """Count a request that arrives, and give it its number."""
        self._begun += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self._begun

    def end(self, exchange: Exchange) -> None:
        """Keep a request that is over."""
        exchange.amend = None  # it may hold the request, and with it the exchange
        self.in_flight -= 1
        self.finished.append(exchange)

    def clear(self) -> None:
        """Forget everything but what is in flight."""
        self.finished.clear()
        self.most_in_flight = self.in_flight
        self._begun = 0


class Peaks:
    """The most events that any one-second window saw, by whom they concern."""

    def __init__(self) -> None:
        self._recent: defaultdict[str, deque[int]] = defaultdict(deque)
        self.highest: Counter[str] = Counter()

    def arrived(self, whom: str, now_us: int) -> None:
        """Count one event. The window is half-open: two events exactly a second apart are not in one."""
        recent = self._recent[whom]
        recent.append(now_us)
        while recent[0] <= now_us - _SECOND_US:
            recent.popleft()
        self.highest[whom] = max(self.highest[whom], len(recent))

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self.highest.clear()


class Violations:
    """Requests that the rate limit turned away, by whose limit it was: an api key's or a container's."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._peaks = Peaks()

    def add(self, whom: str, now_us: int) -> None:
        """Count one refusal."""
        self.refused[whom] += 1
        self._peaks.arrived(whom, now_us)

    def clear(self) -> None:
        """Forget everything."""
        self.refused.clear()
        self._peaks.clear()

    def state(self) -> dict[str, Any]:
        """For each: how many were refused, and how many in the worst second."""
        worst = self._peaks.highest
        return {whom: {"refused": number, "worst_second": worst[whom]} for whom, number in self.refused.items()}


class Counters:
    """Counts since the start or the last reset.

    Attributes:
        requests: answers of the two styles (not of the token endpoint, not of the admin pages) by method and status;
            status 0 for a connection that was closed instead.
        rejected_by_rate_limit: requests answered 429.
        tokens_issued: answers of the token endpoint that carried a token.
        warnings: what was tolerated although a stricter service might refuse it, by description.
        peaks: the most requests in one second, by api key; refused requests count.
        container_peaks: the same by container (dps: sandbox).
        key_violations: what an api key's rate limit refused; an injected 429 is none.
        container_violations: what a container's rate limit refused.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.tokens_issued = 0
        self.warnings: Counter[str] = Counter()
        self.peaks = Peaks()
        self.container_peaks = Peaks()
        self.key_violations = Violations()
        self.container_violations = Violations()

    @property
    def rejected_by_rate_limit(self) -> int:
        """Number of requests answered 429."""
        too_many = HTTPStatus.TOO_MANY_REQUESTS
        return sum(number for (_, status), number in self.requests.items() if status == too_many)

    def answered(self, method: str, status: int | None) -> None:
        """Count an answer, or, without a status, that there was none."""
        self.requests[method, status or _UNANSWERED] += 1

    def clear(self) -> None:
        """Begin anew."""
        self.requests.clear()
        self.tokens_issued = 0
        self.warnings.clear()
        for part in (self.peaks, self.container_peaks, self.key_violations, self.container_violations):
            part.clear()

    def state(self) -> dict[str, Any]:
        """The counters as a JSON object."""
        by_method: dict[str, dict[str, int]] = {}
        for (method, status), number in sorted(self.requests.items()):
            by_method.setdefault(method, {})[str(status or "no answer")] = number
        return {
            "requests": by_method,
            "rejected_by_rate_limit": self.rejected_by_rate_limit,
            "tokens_issued": self.tokens_issued,
            "warnings": self.warnings,
            "peak_requests_per_second": self.peaks.highest,
            "peak_requests_per_second_by_container": self.container_peaks.highest,
            "violations": {
                "api_keys": self.key_violations.state(),
                "containers": self.container_violations.state(),
            },
        }


def repeats(effects: Iterable[Effect]) -> dict[str, int]:
    """The request ids that had more than one effect, and how many: requests that were applied twice."""
    counts = Counter(effect.request_id for effect in effects if effect.request_id)
    return {request_id: number for request_id, number in counts.items() if number > 1}
