"""What the model consists of: protections that can be taken away, the world at one moment, and what a look proves."""

from __future__ import annotations

from enum import Enum, Flag, auto

from msgspec import Struct

from migrator.core.states import FINAL, Move, State

STEPS = "ab"
"""What each step appends to the touched place, or puts there."""


class Protection(Flag):
    """What stands between a misfortune and a wrong run; each can be taken away."""

    NONE = 0
    INTENT = auto()  # the intent, and the base with it, is in the ledger before the request leaves
    SYNC = auto()  # and on the disk: it outlives a power cut
    LOOK = auto()  # a step in doubt is looked at; without it, it is sent again blindly
    QUIET = auto()  # a look at a lost step waits until nothing sent earlier can arrive any more
    FENCE = auto()  # the ledger refuses the writes of a worker that has been taken over
    CHECK = auto()  # a worker that has been taken over does not send
    PINNED = auto()  # a step is sent again on its old base unless that is dead; without it, the base is read again
    REBASE = auto()  # a fresh base only if every earlier attempt was refused, or the quiet period is over
    LAST_WORD = auto()  # a step that was lost is rejected only by a look, and when the quiet period is over
    UNDONE = auto()  # a touched place that is as before proves nothing if it was lost and the etag moved by two or more
    GONE = auto()  # an object that is not there any more proves nothing if the step was lost


class Guard(Enum):
    """By what the service refuses a request that is not meant for what it finds."""

    NONE = auto()
    ETAG = auto()  # If-Match with the etag of the base: xcore
    VALUE = auto()  # a `test` of the touched place: dps


class Edits(Enum):
    """What somebody else may do to the object."""

    FORWARD = auto()  # write beside the touched place, or there what was never there
    ANY = auto()  # also write there what once was, or what the step wants, or delete the object


class Variant(Struct, frozen=True):
    """A protocol and the world that it has to live in.

    Attributes:
        protections: what is in force.
        guard: how requests are guarded.
        replaces: whether a step puts something in the place of what is there, instead of appending to it.
        steps: how many, all for the one object.
        misfortunes: how many may happen.
        pauses: whether a worker may be taken over before it is dead.
        resumed: whether a killed run is sure to be resumed; if not, what it leaves pending has to be true as it stands.
        refusals: whether the service may refuse a request for good, or with what looks like its guard's refusal.
        edits: how many somebody else makes; only with one step.
        kind: of what kind these are.
        patience: a step that was missed so often is rejected when it is missed again.
    """

    protections: Protection
    guard: Guard = Guard.NONE
    replaces: bool = False
    steps: int = 1
    misfortunes: int = 4
    pauses: bool = True
    resumed: bool = True
    refusals: bool = True
    edits: int = 0
    kind: Edits = Edits.ANY
    patience: int = 1


class Version(Struct, frozen=True, cache_hash=True, gc=False):
    """The object at one moment: its etag and the touched place, `None` if the object is gone."""

    etag: int
    value: str | None


class Sent(Struct, frozen=True, cache_hash=True, gc=False):
    """A request on the wire: of which step, on which base, and the worker that waits for it, or `None`."""

    step: int
    base: Version
    waiting: int | None


class Standing(Struct, frozen=True, cache_hash=True, gc=False):
    """What the ledger knows of a step.

    Attributes:
        state: where it stands.
        base: what is pinned to it.
        lost: whether an attempt was lost since it was last known that none can arrive any more.
        refused: whether the last attempt was refused.
        misses: how often it was looked at and missed.
    """

    state: State = State.PENDING
    base: Version | None = None
    lost: bool = False
    refused: bool = False
    misses: int = 0


class Phase(Enum):
    """Where a worker is in the round."""

    READY = auto()
    BASED = auto()  # it has read a base
    INTENDED = auto()  # its intent is durable; it is about to send
    WAITING = auto()
    LOOKED = auto()  # it has read the object of a step in doubt


class Answer(Enum):
    """What the service says to a request, and the move that it makes."""

    DONE = Move.APPLY
    LATER = Move.NOT_EXECUTED
    NO = Move.REJECT
    GUARD = Move.LOSE  # the guard's refusal, or one that looks like it: only a look tells which


class Worker(Struct, frozen=True, cache_hash=True, gc=False):
    """A process: its phase, and what it holds in memory.

    Attributes:
        phase: where it is.
        step: the step it has in hand.
        seen: the object as it read it, as a base or to look.
        known: what the ledger knew of the step when it looked.
        quiet: whether the quiet period was over when it looked.
        answer: what it was told.
    """

    phase: Phase = Phase.READY
    step: int = 0
    seen: Version | None = None
    known: Standing | None = None
    quiet: bool = False
    answer: Answer | None = None


class World(Struct, frozen=True, cache_hash=True, gc=False):
    """Everything at one moment.

    Attributes:
        object: as it is.
        effects: how often each step was carried out.
        theirs: whether somebody else wrote what a step wants.
        wire: requests that may still arrive.
        ledger: the steps, in order.
        unsynced: the ledger as a power cut would leave it, if an intent is not on the disk.
        lease: the worker that has it.
        workers: those that run.
        misfortunes: how many are left.
        edits: how many are left.
    """

    object: Version
    effects: tuple[int, ...]
    theirs: bool
    wire: tuple[Sent, ...]
    ledger: tuple[Standing, ...]
    unsynced: tuple[Standing, ...] | None
    lease: int
    workers: tuple[Worker | None, Worker | None]
    misfortunes: int
    edits: int


def beginning(variant: Variant) -> World:
    """Return the world in which nothing has happened yet."""
    steps = variant.steps
    first = Version(1, "")
    ledger = (Standing(),) * steps
    return World(first, (0,) * steps, False, (), ledger, None, 0, (None, None), variant.misfortunes, variant.edits)


def current(world: World) -> int | None:
    """Return the step to take next; `None` if all are final, or one is unresolved and blocks those behind it."""
    for step, standing in enumerate(world.ledger):
        if standing.state not in FINAL:
            return None if standing.state is State.UNRESOLVED else step
    return None


def wrong(variant: Variant, world: World) -> str:
    """Say what is wrong with the world, "" if nothing is."""
    left = not variant.resumed and world.workers == (None, None) and not world.wire
    for step, (standing, effects) in enumerate(zip(world.ledger, world.effects, strict=True)):
        if effects > 1:
            return f"step {STEPS[step]} has been applied twice"
        if standing.state is State.APPLIED and not effects and not world.theirs:
            return f"step {STEPS[step]} is APPLIED without effect"
        if effects and (standing.state is State.REJECTED or (standing.state is State.PENDING and left)):
            return f"step {STEPS[step]} is {standing.state} though it has been applied"
    return ""


def verdict(variant: Variant, step: int, standing: Standing, look: Worker) -> tuple[Move, bool] | None:
    """Return what a look proves, and whether the next attempt needs a fresh base; `None` to look again later."""
    protections = variant.protections
    looks = Protection.LOOK in protections
    move, rebase = _shown(variant, step, standing, look.seen) if looks else (Move.MISS, False)
    if move is Move.MISS and standing.misses == variant.patience:
        move, rebase = Move.REJECT, False
    needed = Protection.LAST_WORD if move is Move.REJECT else Protection.REBASE if rebase else Protection.NONE
    if needed & protections and standing.lost and not look.quiet:
        return None
    return move, rebase or Protection.PINNED not in protections


def _shown(variant: Variant, step: int, standing: Standing, seen: Version | None) -> tuple[Move, bool]:
    """Compare what a look shows with the base: the table of verdicts."""
    base = standing.base
    assert base is not None
    assert seen is not None
    doubted = variant.protections if standing.lost else Protection.NONE
    writes = seen.etag - base.etag
    if seen.value is None:
        return (Move.GIVE_UP if Protection.GONE in doubted else Move.MISS), False
    if writes == 0:
        return (Move.REJECT if standing.refused else Move.MISS), False
    if seen.value == wanted(variant, step, base):
        return Move.FIND, False
    if seen.value == base.value:
        if writes > 1 and Protection.UNDONE in doubted:
            return Move.GIVE_UP, False
        return Move.MISS, variant.guard is Guard.ETAG
    return (Move.MISS, True) if writes == 1 else (Move.GIVE_UP, False)


def wanted(variant: Variant, step: int, base: Version) -> str:
    """Return what the touched place is once the step has been applied to the base."""
    assert base.value is not None
    return STEPS[step] if variant.replaces else base.value + STEPS[step]
