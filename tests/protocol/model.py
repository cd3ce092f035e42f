"""The resume protocol as a model small enough that every interleaving can be tried.

What is modelled: one object, its etag and one touched place in it; steps that append to that place, or put something
else there, one after the other; two workers that share a ledger; requests on the wire. A *misfortune* is anything that
a server and a machine in order would not do: a worker dies, the power fails, a worker is taken over while it is merely
paused, a request or an answer is lost, a worker stops waiting for a request that is carried out later, a request is
refused. A variant allows so many of them, and so many edits by somebody else, at any moment and in every order. A pause
needs no move of its own: a worker may be arbitrarily slow between any two of its moves.

A run is *wrong* if a step is carried out twice, even if somebody else undid the first time; if it is APPLIED and nobody
has written what it wants; if it is REJECTED, or PENDING for good, and has been carried out.

A step moves only by `migrator.core.states.after`: the table that the ledger's triggers are built from is the model's.

What is not modelled, and has to hold of itself:

* Time. The *quiet period* is over when nothing sent is on the wire any more: that it is long enough, and counted from
  the send rather than from an intent that is older, is assumed.
* The send check is one move with the send. The microseconds between the two are what design A leaves open.
* A look shows the object as it is (read-your-writes), an etag moves by one with each write and never goes back.
* An outcome that was taken for writing and lost in a crash is a crash before it was taken: the next intent of the step
  follows it to the disk, and nothing but reads comes in between.
* A batch of many objects: no move concerns two of them, except the lease, which is taken for all.

Source: `reference/resumption.md` sections 5, 6 and 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from migrator.core.states import Move, State, after
from tests.protocol.world import (
    STEPS,
    Answer,
    Edits,
    Guard,
    Phase,
    Protection,
    Sent,
    Standing,
    Variant,
    Version,
    Worker,
    World,
    current,
    verdict,
    wanted,
)


class Event(Struct, frozen=True):
    """One move of the world.

    Attributes:
        text: what happens.
        world: what comes of it.
        calm: whether it happens when nothing fails and nobody else edits.
        made: the move that a worker makes with a step, if it does.
        seen: what a look showed, with what was known of the step, if this is its verdict.
    """

    text: str
    world: World
    calm: bool = True
    made: tuple[State, Move] | None = None
    seen: tuple[Standing, Version] | None = None


def moves(variant: Variant, world: World) -> Iterator[Event]:
    """Yield everything that may happen next."""
    yield from _starts(variant, world)
    for me, worker in enumerate(world.workers):
        if worker is not None:
            yield from Turn(variant, world, me, worker).events()
    for sent in dict.fromkeys(world.wire):
        yield from _arrivals(variant, world, sent)
    if world.misfortunes:
        yield from _deaths(replace(world, misfortunes=world.misfortunes - 1))
    if world.edits:
        yield from _edits(variant, replace(world, edits=world.edits - 1))


def _starts(variant: Variant, world: World) -> Iterator[Event]:
    """Start a worker: it takes the lease, and what it finds as intents is in doubt."""
    alive = world.workers != (None, None)
    if current(world) is None or None not in world.workers or (alive and not (variant.pauses and world.misfortunes)):
        return
    me = world.workers.index(None)
    ledger = world.ledger
    made = None
    for step, standing in enumerate(ledger):
        if standing.state is State.INTENT:
            made = (State.INTENT, Move.LOSE)
            ledger = _set(ledger, step, replace(standing, state=after(*made), lost=True))
    left = world.misfortunes - alive
    workers = _set(world.workers, me, Worker())
    started = replace(world, ledger=ledger, lease=me, workers=workers, misfortunes=left)
    text = f"worker {me} takes over from one that is paused" if alive else f"worker {me} starts"
    yield Event(text, started, not alive, made)


def _deaths(world: World) -> Iterator[Event]:
    """Kill a worker, or cut the power of all of them."""
    for me, worker in enumerate(world.workers):
        if worker is not None:
            without = replace(world, workers=_set(world.workers, me, None))
            yield Event(f"worker {me} is killed", _unheard(without, me), False)
    if world.unsynced is not None:
        dark = replace(world, workers=(None, None), ledger=world.unsynced, unsynced=None)
        yield Event("the power fails, and the intent was not on the disk", _unheard(_unheard(dark, 0), 1), False)


def _edits(variant: Variant, world: World) -> Iterator[Event]:
    """Let somebody else write: beside the touched place, or there."""
    value = world.object.value
    if value is None:
        return
    there: tuple[str | None, ...] = (value + "f",) if variant.kind is Edits.FORWARD else ("", "a", "f", None)
    for new in (value, *(new for new in there if new != value)):
        theirs = world.theirs or (new is not None and "a" in new and "a" not in value)
        what = "beside it" if new == value else "DELETE" if new is None else repr(new)
        edited = replace(world, object=Version(world.object.etag + 1, new), theirs=theirs)
        yield Event(f"somebody else writes {what}", edited, False)


def _arrivals(variant: Variant, world: World, sent: Sent) -> Iterator[Event]:
    """Let a request arrive, be refused, or never arrive."""
    name = f"the request of step {STEPS[sent.step]} on base {sent.base.etag}"
    done, answer = _carried_out(variant, replace(world, wire=_without(world.wire, sent)), sent)
    yield Event(f"{name} arrives: {answer.name}", _told(done, sent, answer))
    if sent.waiting is None:
        yield Event(f"{name} is lost for good", replace(world, wire=_without(world.wire, sent)))
    elif world.misfortunes:
        left = world.misfortunes - 1
        gone = replace(world, wire=_without(world.wire, sent), misfortunes=left)
        yield Event(f"{name} is lost", gone, False)
        yield Event(f"{name} arrives: {answer.name}, and the answer is lost", replace(done, misfortunes=left), False)
        for refusal in (Answer.LATER, Answer.NO, Answer.GUARD)[: None if variant.refusals else 1]:
            yield Event(f"{name} is refused: {refusal.name}", _told(gone, sent, refusal), False)


def _carried_out(variant: Variant, world: World, sent: Sent) -> tuple[World, Answer]:
    """Do what the service does with a request."""
    found, base = world.object, sent.base
    if found.value is None:
        return world, Answer.NO
    holds = {Guard.NONE: True, Guard.ETAG: found.etag == base.etag, Guard.VALUE: found.value == base.value}
    if not holds[variant.guard]:
        return world, Answer.GUARD
    effects = _set(world.effects, sent.step, world.effects[sent.step] + 1)
    return replace(
        world, object=Version(found.etag + 1, wanted(variant, sent.step, found)), effects=effects
    ), Answer.DONE


def _told(world: World, sent: Sent, answer: Answer) -> World:
    """Give the answer to the worker that waits for it."""
    if sent.waiting is None:
        return world
    worker = world.workers[sent.waiting]
    assert worker is not None
    return replace(world, workers=_set(world.workers, sent.waiting, replace(worker, answer=answer)))


def _unheard(world: World, me: int) -> World:
    """Let nobody wait any more for what a worker has sent."""
    wire = (replace(sent, waiting=None) if sent.waiting == me else sent for sent in world.wire)
    return replace(world, wire=tuple(sorted(wire, key=repr)))


class Turn(Struct, frozen=True):
    """What a worker may do next."""

    variant: Variant
    world: World
    me: int
    worker: Worker

    def events(self) -> Iterator[Event]:
        """Yield its moves."""
        match self.worker.phase:
            case Phase.READY:
                yield from self._next()
            case Phase.BASED:
                yield self._intend(self.worker.step, self.worker.seen)
            case Phase.INTENDED:
                yield self._send()
            case Phase.WAITING:
                answer = self.worker.answer
                yield from self._wait() if answer is None else (self._hear(answer),)
            case Phase.LOOKED:
                yield self._judge()

    def _next(self) -> Iterator[Event]:
        """Take the first step that is not final; a worker that has none, or may not write, is at its end."""
        step = current(self.world)
        standing = None if step is None else self.world.ledger[step]
        fenced = self._has(Protection.FENCE) and self.world.lease != self.me
        if step is None or standing is None or fenced or standing.state is State.INTENT:
            yield self._become(None, "ends")
        elif standing.state is State.DOUBT:
            yield from self._look(step, standing)
        elif standing.base is not None:
            yield self._intend(step, standing.base)
        elif self.world.object.value is None:
            yield self._write(step, Move.REJECT, "finds no object")
        else:
            worker = Worker(Phase.BASED, step, self.world.object)
            yield self._become(worker, f"reads base {self.world.object.etag} for step {STEPS[step]}")

    def _look(self, step: int, standing: Standing) -> Iterator[Event]:
        """Look at once where that is allowed, or when nothing sent earlier can arrive any more."""
        etag = self.world.object.etag
        if not (self._has(Protection.QUIET) and standing.lost):
            yield self._become(Worker(Phase.LOOKED, step, self.world.object, standing), f"looks: etag {etag}")
        if standing.lost and not self.world.wire:
            worker = Worker(Phase.LOOKED, step, self.world.object, standing, quiet=True)
            yield self._become(worker, f"looks when the quiet period is over: etag {etag}")

    def _intend(self, step: int, base: Version | None) -> Event:
        """Write the intent and the base; a base that is already pinned stays."""
        text = f"intends step {STEPS[step]}"
        if not self._has(Protection.INTENT):
            return self._become(Worker(Phase.INTENDED, step, base), text)
        base = self.world.ledger[step].base or base
        event = self._write(step, Move.INTEND, text, Worker(Phase.INTENDED, step, base), refused=False)
        unsynced = None if self._has(Protection.SYNC) or event.made is None else self.world.ledger
        return replace(event, world=replace(event.world, unsynced=unsynced))

    def _send(self) -> Event:
        """Send, if the lease is still good."""
        step, base = self.worker.step, self.worker.seen
        if self._has(Protection.CHECK) and self.world.lease != self.me:
            return self._become(None, "does not send: its lease is over")
        assert base is not None
        event = self._become(Worker(Phase.WAITING, step, base), f"sends step {STEPS[step]} on base {base.etag}")
        wire = tuple(sorted((*self.world.wire, Sent(step, base, self.me)), key=repr))
        return replace(event, world=replace(event.world, wire=wire))

    def _wait(self) -> Iterator[Event]:
        """Stop waiting: a misfortune of its own if the request may still be answered."""
        late = any(sent.waiting == self.me for sent in self.world.wire)
        if self.world.misfortunes or not late:
            event = self._write(self.worker.step, Move.LOSE, "stops waiting", lost=True, refused=False)
            left = event.world.misfortunes - late
            yield replace(event, world=_unheard(replace(event.world, misfortunes=left), self.me), calm=not late)

    def _hear(self, answer: Answer) -> Event:
        """Write what the answer means."""
        step, move = self.worker.step, answer.value
        if answer is Answer.NO and self._has(Protection.LAST_WORD) and self.world.ledger[step].lost:
            move = Move.LOSE
        return self._write(step, move, f"hears {answer.name}", refused=move is Move.LOSE)

    def _judge(self) -> Event:
        """Write what the look proves, or wait for one that proves more."""
        step, seen, standing = self.worker.step, self.worker.seen, self.worker.known
        assert seen is not None
        assert standing is not None
        proof = verdict(self.variant, step, standing, self.worker)
        if proof is None:
            return self._become(Worker(), "has to look again")
        move, rebase = proof
        event = self._write(
            step,
            move,
            f"judges: {move}{' with a fresh base' if rebase else ''}",
            base=None if rebase else standing.base,
            lost=standing.lost and not self.worker.quiet,
            misses=standing.misses + (move is Move.MISS),
        )
        return replace(event, seen=(standing, seen))

    def _has(self, protection: Protection) -> bool:
        return protection in self.variant.protections

    def _become(self, worker: Worker | None, text: str) -> Event:
        """Go on as `worker`."""
        workers = _set(self.world.workers, self.me, worker)
        return Event(f"worker {self.me} {text}", replace(self.world, workers=workers))

    def _write(self, step: int, move: Move, text: str, then: Worker | None = None, **known: Any) -> Event:
        """Move the step in the ledger, if it lets this worker; one whose write is refused ends."""
        standing = self.world.ledger[step]
        try:
            state = self._after(standing.state, move)
        except ValueError:
            return self._become(None, f"{text}, and the ledger refuses the move")
        if self._has(Protection.FENCE) and self.world.lease != self.me:
            return self._become(None, f"{text}, and the fence refuses it")
        event = self._become(then or Worker(), text)
        base = standing.base or self.worker.seen  # of a step without an intent, the worker alone knows the base
        ledger = _set(self.world.ledger, step, replace(standing, **({"state": state, "base": base} | known)))
        return replace(event, world=replace(event.world, ledger=ledger, unsynced=None), made=(standing.state, move))

    def _after(self, state: State, move: Move) -> State:
        """Return the state that follows; without intents in the ledger, one is written together with its outcome."""
        if state is State.PENDING and move is not Move.INTEND and not self._has(Protection.INTENT):
            state = after(state, Move.INTEND)
        return after(state, move)


def _set(members: tuple[Any, ...], index: int, member: Any) -> Any:
    """Return the tuple with one member replaced."""
    return (*members[:index], member, *members[index + 1 :])


def _without(wire: tuple[Sent, ...], sent: Sent) -> tuple[Sent, ...]:
    """Return the wire without one such request."""
    index = wire.index(sent)
    return (*wire[:index], *wire[index + 1 :])
