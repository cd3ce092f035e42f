"""Whether the two ends of a migration say the same: both read anew, and compared through the mapping.

Lists may be behind. So what they show as it should be is believed, and everything else is looked at by itself before
anything is said of it. What the ledger has no id for was left out on purpose, or taken from a user's id map: what is
there in its place is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from migrator.core.compare import unlike
from migrator.core.copying import Marks
from migrator.core.mapping import ALLOWABLE, Context, Known, Loss, Refused, Translation, translate_document
from migrator.core.model import EntityType, Seen
from migrator.core.plan import own_members
from migrator.core.verdict import ErrorClass
from migrator.core.verify import Difference
from migrator.engine import Reader
from migrator.ledger.reading import Mapped, Place, mapped
from migrator.migrating.catalogue import Catalogue

GONE = "is not there any more"


class End(Struct, frozen=True):
    """One end of a migration.

    Attributes:
        reader: reads its objects one by one.
        catalogue: all that its lists show.
    """

    reader: Reader
    catalogue: Catalogue


class Shown(Struct, frozen=True):
    """An object as it is now: its version and its own members."""

    etag: int | None
    document: dict[str, Any]


class Disagreement(Struct, frozen=True):
    """An object that does not say what its source says, or whose source has changed since.

    Attributes:
        objects: the two.
        differences: where, in the words of the target; none if the source has changed without consequence.
        changed: how the source has changed since it was read for the migration, "" if it has not.
    """

    objects: Mapped
    differences: tuple[Difference, ...]
    changed: str


class Comparison:
    """Compares the objects of one migration.

    Attributes:
        compared: objects so far.
        differ: of them, those that do not say the same.
        explained: what the mapping says that the other style cannot say alike, by class; it counts as no difference.
    """

    def __init__(
        self, ledger: Path, targets: Callable[[str], Mapping[str, str]], source: End, target: End, marks: Marks
    ) -> None:
        """Compare what a migration has made with what it was made of.

        Args:
            ledger: of the migration.
            targets: looks up in its id map, see `ledger.reading.id_map`.
            source: where it read.
            target: where it wrote.
            marks: stand for ids that the map does not have.
        """
        self.compared = 0
        self.differ = 0
        self.explained: Counter[Loss] = Counter()
        self._ledger = ledger
        self._source = source
        self._target = target
        self._marks = marks
        self._targets = targets
        self._context = Context(self._resolve, source.catalogue.channel_of, frozenset(ALLOWABLE))

    async def findings(self) -> AsyncIterator[Disagreement]:
        """Yield what does not say the same, in the order of the rows."""
        for one in mapped(self._ledger):
            source = _listed(self._source, one.type, one.source)
            made = self._translated(one, source)
            found = self._judge(one, source, made, _listed(self._target, one.type, one.target))
            if found is not None:
                source = await _read(self._source, one.type, one.source)
                made = self._translated(one, source)
                found = self._judge(one, source, made, await _read(self._target, one.type, one.target))
            self.compared += 1
            self.explained.update(report.loss for report in (made.reports if made is not None else ()))
            if found is not None:
                self.differ += bool(found.differences)
                yield found

    def _translated(self, one: Mapped, source: Shown | str) -> Translation[dict[str, Any]] | None:
        """Return what a source says, in the other style."""
        if isinstance(source, str):
            return None
        styles = (self._source.reader.style.name, self._target.reader.style.name)
        return translate_document(one.type, source.document, *styles, self._context, Known(one.source.reference))

    def _judge(
        self, one: Mapped, source: Shown | str, made: Translation[dict[str, Any]] | None, target: Shown | str
    ) -> Disagreement | None:
        if isinstance(source, str) or made is None:
            return Disagreement(one, (Difference("", note=f"its source {source}"),), "")
        if isinstance(target, str):
            return Disagreement(one, (Difference("", note=f"the object {target}"),), "")
        told = one.etag and source.etag  # a list may leave the version out, which is 0 then
        changed = f"version {one.etag} then, {source.etag} now" if told and source.etag != one.etag else ""
        differences = tuple(self._differences(made, target))
        return Disagreement(one, differences, changed) if differences or changed else None

    def _differences(self, made: Translation[dict[str, Any]], target: Shown) -> Iterator[Difference]:
        if isinstance(made, Refused):
            why = "; ".join(f"{report.pointer}: {report.reason}" for report in made.reports)
            yield Difference("", note=f"its source cannot be said here: {why}")
            return
        for place in unlike(target.document, made.result):
            if not self._marks.copy(place.written).references:
                yield Difference(place.path, place.written, place.actual)

    def _resolve(self, type_: str, id_: str) -> str | None:
        if not (targets := self._targets(id_)):
            return self._marks.mark(EntityType.TAG, id_)  # whatever it is of: what is left out is one and the same
        return targets.get(type_)


def _listed(end: End, type_: EntityType, place: Place) -> Shown | str:
    """Return what a list shows of an object, or say why not."""
    entry = end.catalogue.referred(type_, place.reference)
    return GONE if entry is None else Shown(entry.etag, entry.members)


async def _read(end: End, type_: EntityType, place: Place) -> Shown | str:
    """Return an object as it is now, or say why not."""
    seen = await end.reader.see(place.container, type_, place.object)
    if isinstance(seen, Seen):
        return Shown(seen.etag, own_members(seen.document, end.reader.style))
    return GONE if seen is None or seen.error is ErrorClass.NOT_FOUND else f"cannot be read: {seen.message}"
