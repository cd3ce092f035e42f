"""The narrow interfaces between the engine and the world, and the values that cross them.

What belongs here: what the engine needs of a ledger, a transport, a clock, and nothing of how it is done. A port has
a real implementation and fakes that pass the same suite.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from migrator.core.model import Answer, Base, Doubt, EntityType, Failure, Kind, Request, Step
from migrator.core.states import State


class Intent(Struct, frozen=True, gc=False):
    """The durable "about to send".

    Attributes:
        seq: the step.
        attempt: number of this attempt, from 1.
        request_id: the `x-request-id` it will carry.
        at: wall-clock seconds since the epoch.
    """

    seq: int
    attempt: int
    request_id: str
    at: float


class How(StrEnum):
    """By what a state was reached."""

    ANSWER = "answer"
    LOOK = "look"
    POLICY = "policy"


class Outcome(Struct, frozen=True, gc=False):
    """How an attempt ended, or what became of a step that is in doubt.

    Attributes:
        seq: the step.
        state: where that leaves the step.
        at: wall-clock seconds since the epoch.
        http_status: status of the answer, or `None` if there was none.
        error_class: a word of `core.verdict.ErrorClass`, "" for success.
        message: what was said, in one line.
        etag: version of the object after the write, if told.
        object: id of the object as told by the receipt, "" if none was told.
        reference: id by which others refer to it, "" if none was told.
        how: the answer said so, a look showed it, or a person decided.
    """

    seq: int
    state: State
    at: float
    http_status: int | None = None
    error_class: str = ""
    message: str = ""
    etag: int | None = None
    object: str = ""
    reference: str = ""
    how: How = How.ANSWER


class Choice(Struct, frozen=True):
    """Which pending steps are sent now; the others are held back.

    Attributes:
        most: how many at the most, or `None` for all.
        at_random: whether those are drawn; otherwise they are the first.
        objects: ids of the objects to choose among, or `None` for all.
    """

    most: int | None = None
    at_random: bool = False
    objects: frozenset[str] | None = None


class Commit(Protocol):
    """Something that is on its way to the disk."""

    @property
    def done(self) -> bool:
        """Whether it is on the disk."""

    @property
    def good_until(self) -> float:
        """Until when (monotonic seconds) a request may leave on the strength of it; valid once it is durable.

        Later the ledger may belong to another process, which takes what it finds for its own.
        """

    def hurry(self) -> None:
        """Have it written now: somebody will soon wait for it."""

    async def durable(self) -> None:
        """Return when it is on the disk.

        Raises:
            LedgerFailed: it is not, and will not be.
        """


class Ledger(Protocol):
    """What the engine needs of the durable truth of one run."""

    async def stages(self) -> Sequence[int]:
        """Return the stages that steps have, in order."""

    async def containers(self, stage: int) -> Sequence[str]:
        """Return the containers that have steps of `stage` still to send, in the order of their first row."""

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        """Return up to `limit` steps of `stage` still to send in `container` with `seq > after`, in order."""

    async def doubts(self, states: Collection[State], after: int, limit: int) -> Sequence[Doubt]:
        """Return up to `limit` steps in `states` with `seq > after`, in order."""

    async def unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> Mapping[EntityType, int]:
        """Count the steps of `kinds` and `stage` still to send in `container` whose base is not known, by type."""

    async def unbased_among(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return those of them that are for `objects` of a type."""

    async def unbased_elsewhere(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return the same of those steps that other processes carry out."""

    async def lend(self, bases: Mapping[int, Base]) -> None:
        """Let those who carry out the steps of `bases` find them; what they know by themselves stays.

        Raises:
            LedgerFailed: it cannot be written.
        """

    async def reviewed(self) -> bool:
        """Whether any step was reviewed."""

    async def reviews(self, steps: Collection[int]) -> Mapping[int, Base]:
        """Return what the objects of those of `steps` that were reviewed were then; their bodies are empty."""

    async def ids(self, references: Collection[str]) -> Mapping[tuple[EntityType, str], str]:
        """Return what objects of the source that are made, or were there already, are referred to by in the target."""

    async def settled_objects(self, objects: Collection[str]) -> Collection[str]:
        """Return which of `objects` steps of this run have been applied to."""

    def keep(self, seq: int, base: Base) -> None:
        """Take `base` for writing, in the place of an earlier one. It is on the disk before any later intent.

        Raises:
            LedgerFailed: an earlier write failed.
        """

    def dismiss(self, outcome: Outcome) -> None:
        """Take for writing how a step ends that was never sent.

        Raises:
            LedgerFailed: an earlier write failed.
        """

    def intend(self, intent: Intent) -> Commit:
        """Take `intent` for writing. Until the commit is durable nothing may be sent.

        Raises:
            LedgerFailed: an earlier write failed.
        """

    def record(self, outcome: Outcome) -> None:
        """Take `outcome` for writing.

        Raises:
            LedgerFailed: an earlier write failed.
        """

    async def flush(self) -> None:
        """Return when everything recorded so far is on the disk."""


class Transport(Protocol):
    """One request in, one answer out. Nothing below it repeats a write."""

    @property
    def ready(self) -> bool:
        """Whether the next request may leave at once."""

    async def make_ready(self) -> Failure | None:
        """Get what the next request needs before it may leave, such as a token; say why if that is not to be had."""

    async def send(self, request: Request) -> Answer:
        """Send `request` once and read the answer to its end."""

    @property
    def renewable(self) -> bool:
        """Whether a token that the service refuses is replaced before the next request."""


class Clock(Protocol):
    """Time and chance, so that tests can hold both still."""

    def now(self) -> float:
        """Return wall-clock seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def chance(self) -> float:
        """Return a random number in [0, 1)."""

    def request_id(self) -> str:
        """Return a fresh UUID."""


class Throttle(Protocol):
    """Leave to send, and the pause that all share."""

    @property
    def free(self) -> bool:
        """Whether everybody may send at once, without asking for a permit, and need not say so."""

    @property
    def pauses(self) -> int:
        """How many pauses there have been, the present one included."""

    def rest_s(self, container: str) -> float:
        """Return for how many seconds `container` has no permit of its own to give; 0 or less if it has."""

    async def permit(self, container: str, *, write: bool = False) -> bool:
        """Wait for leave to send one request to `container`; `False` means that the run stops."""

    async def due(self, container: str, *, write: bool = False) -> bool:
        """Wait for the moment that a permit is for; `False` means that the run stops, and the permit is gone.

        Limits that are shared by many processes give permits for moments. After `True` the request leaves at once, or
        its permit is given back.
        """

    def sent(self, container: str, *, write: bool = False) -> None:
        """Note that a request to `container`, for which there is a permit, leaves now."""

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        """Note that what was sent to `container` is answered, or given up.

        Args:
            container: where it was sent.
            write: whether it was a write.
            refused: whether the answer is that requests come too fast.
        """

    def returned(self, container: str, *, write: bool = False) -> None:
        """Take back a permit for `container` that will not be used."""

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody for `seconds`."""

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
