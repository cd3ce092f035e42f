"""Whether an object is as a run has written it.

What was written is told best by the base of a step: which places the change touched, and what they became. What was
sent without one (`--no-guard`) is told by its operations, as far as they go: the last value that a member was given, a
value that an array was given. What neither tells, such as the copy of something that nobody has read, is named as not
checked, and never taken for right or wrong.

What is there is compared by meaning, as `compare` says. What has only moved inside of an object is no difference for an
edit, which finds its place anew. A run knows nothing of later ones: an object that is not as it wrote it has been
changed since, and whether that was meant is for a person to say.

What belongs here: what a step says of its object, and the comparison. What must never: how the object was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.base import Unfit, examine
from migrator.core.compare import shows, unlike
from migrator.core.edit import edits_of
from migrator.core.model import CREATES, Json, Kind, Operation, Seen, Step, Touched
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import APPEND, is_index, is_inside, value_at
from migrator.core.states import State
from migrator.core.styles import Style
from migrator.core.values import shown


class Written(Struct, frozen=True):
    """A step that a run has carried out, or found to be carried out already.

    Attributes:
        step: the step, with its body as planned, and the id of its object also if it has created that.
        state: `APPLIED` or `UNCHANGED`.
        touched: of its base; `None` if that is not known.
        rows: how many input rows it is made of.
    """

    step: Step
    state: State
    touched: tuple[Touched, ...] | None
    rows: int


class Difference(Struct, frozen=True):
    """A place at which an object is not as it was written.

    Attributes:
        path: JSON Pointer, "" if the object as a whole is meant.
        expected: what should be there, `UNSET` for nothing; of an array that was added to, an element.
        found: what is there, `UNSET` for nothing.
        note: what is wrong, if that is more than the two of them; may be "".
    """

    path: str
    expected: Json | UnsetType = UNSET
    found: Json | UnsetType = UNSET
    note: str = ""

    def __str__(self) -> str:
        """Say it in a sentence without a full stop."""
        if self.note:
            return self.note
        expected = "nothing" if self.expected is UNSET else shown(self.expected)
        return f"{self.path} is {shown(self.found)}, expected {expected}"


class Judgement(Struct, frozen=True):
    """What the comparison of an object with what was written comes to.

    Attributes:
        differences: where it is otherwise.
        unchecked: places that were changed, and of which it is not known how.
    """

    differences: tuple[Difference, ...] = ()
    unchecked: tuple[str, ...] = ()


class Effect(Struct, frozen=True):
    """What a step has left in its object.

    Attributes:
        places: what stands where.
        elements: arrays, each with a value that is somewhere in it.
        unchecked: places that were changed, and of which it is not known how.
    """

    places: tuple[Touched, ...] = ()
    elements: tuple[tuple[str, Json], ...] = ()
    unchecked: tuple[str, ...] = ()


def judge(written: Written, seen: Seen | None, style: Style) -> Judgement:
    """Compare an object with what a step has written.

    Args:
        written: the step.
        seen: its object, or `None` if it is not there.
        style: the endpoint style.
    """
    step = written.step
    if step.kind is Kind.DELETE:
        return Judgement() if seen is None else Judgement((Difference("", note="the object is still there"),))
    if seen is None:
        return Judgement((Difference("", note="the object is not there any more"),))
    if written.state is State.UNCHANGED:
        return Judgement(tuple(_wanting(step, seen, style)))
    effect = effect_of(written, style)
    differences = tuple(_differences(effect, seen.document))
    if differences and step.kind is Kind.EDIT and not any(_wanting(step, seen, style)):
        return Judgement()
    return Judgement(differences, effect.unchecked)


def _wanting(step: Step, seen: Seen, style: Style) -> Iterator[Difference]:
    """Yield what a change would still have to do to an object, to which it was found to have nothing to do."""
    base = examine(step, seen, style, strict=True)
    if isinstance(base, Unfit):
        yield Difference("", note=f"the change does not fit any more: {base.message}")
    else:
        yield from _misplaced(base.touched or (), seen.document)


def _differences(effect: Effect, document: Json) -> Iterator[Difference]:
    yield from _misplaced(effect.places, document)
    for path, value in effect.elements:
        array = value_at(document, path)
        if not (isinstance(array, list) and any(shows(element, value) for element in array)):
            yield Difference(path, value, array, f"{path} is {shown(array)}, expected {shown(value)} in it")


def _misplaced(places: Iterable[Touched], document: Json) -> Iterator[Difference]:
    for place in places:
        for inner in unlike(value_at(document, place.path), place.after, place.before):
            yield Difference(place.path + inner.path, inner.written, inner.actual)


# What a step has left


def effect_of(written: Written, style: Style) -> Effect:
    """Return what an applied step has left in its object, as far as its ledger tells."""
    step = written.step
    if step.kind in CREATES:
        return Effect((Touched(style.root, after=msgspec.json.decode(step.body)),))
    if written.touched is not None:
        return Effect(written.touched)
    return effect_of_patch(edit for edit in edits_of(step.body) if isinstance(edit, Operation))


def effect_of_patch(operations: Iterable[Operation]) -> Effect:
    """Return what a patch leaves in an object that nobody has read, as far as its operations tell."""
    sketch = _Sketch()
    for operation in operations:
        sketch.draw(operation)
    return Effect(
        tuple(Touched(path, after=value) for path, value in sketch.known.items()),
        tuple((path, value) for path, values in sketch.elements.items() for value in values),
        tuple(sketch.unknown),
    )


class _Sketch:
    """An object of which nothing is known but what the operations of a patch say.

    Attributes:
        known: values by the places at which they were put; none is inside of another.
        elements: by arrays, values that were appended to them.
        unknown: places that were changed into what is not known.
    """

    def __init__(self) -> None:
        self.known: dict[str, Json | UnsetType] = {}
        self.elements: dict[str, list[Json]] = {}
        self.unknown: dict[str, None] = {}

    def draw(self, operation: Operation) -> None:
        """Take in the next operation."""
        if operation.op == "test":
            return
        if operation.op == "copy":
            value = self._value_at(operation.source)
            if value is UNSET:
                self._forget(operation.path.removesuffix(f"/{APPEND}"))
                return
            operation = Operation("add", operation.path, value)
        outer = self._outer(operation.path)
        if outer is None:
            self._put(operation)
        else:
            self._change_inside(outer, operation)

    def _outer(self, path: str) -> str | None:
        """Return the known place that `path` lies inside of."""
        return next((place for place in self.known if is_inside(path, place)), None)

    def _value_at(self, path: str) -> Json | UnsetType:
        if path in self.known:
            return self.known[path]
        outer = self._outer(path)
        return UNSET if outer is None else value_at(self.known[outer], path.removeprefix(outer))

    def _change_inside(self, outer: str, operation: Operation) -> None:
        inner = msgspec.structs.replace(operation, path=operation.path.removeprefix(outer))
        try:
            self.known[outer] = apply([inner], self.known[outer])
        except CannotApply:  # and yet the service has applied it: it has made something else of the value
            self._forget(outer)

    def _put(self, operation: Operation) -> None:
        array, _, last = operation.path.rpartition("/")
        if last == APPEND:
            self.elements.setdefault(array, []).append(operation.value)
            return
        self._clear(operation.path)
        if is_index(last) and operation.op != "replace":
            self._move_elements(array)
        if is_index(last) and operation.op == "remove":
            self.unknown[operation.path] = None  # the next element has taken its place, if there was one
        else:
            self.known[operation.path] = UNSET if operation.op == "remove" else operation.value

    def _clear(self, path: str) -> None:
        """Drop what is known at and inside of a place, and of arrays whose elements are changed there."""
        for notes in (self.known, self.elements, self.unknown):
            for place in [place for place in notes if place == path or is_inside(place, path)]:
                del notes[place]
        for array in [array for array in self.elements if is_inside(path, array)]:
            self._forget(array)

    def _move_elements(self, array: str) -> None:
        """Forget where the elements of an array are: one was put between them, or taken out."""
        for place in [place for place in self.known if is_inside(place, array)]:
            if is_index(place.removeprefix(f"{array}/").partition("/")[0]):
                self._forget(place)

    def _forget(self, path: str) -> None:
        self._clear(path)
        self.unknown[path] = None
