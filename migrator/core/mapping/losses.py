"""Losses: what a translation drops, downgrades or spells without an example, told value by value.

What belongs here: the closed list of classes of loss, and the record of one. What must never: which member is lost,
which is a matter of `tables`.

A *severe* loss changes who gets to see what, or gives up something that the row asked for: it refuses the object or the
patch, unless its class is allowed. An *informational* one does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct, field

from migrator.core.model import Json

T = TypeVar("T")


class Severity(StrEnum):
    """How bad a loss is."""

    INFORMATIONAL = "informational"
    SEVERE = "severe"


class Loss(StrEnum):
    """The classes of loss; `MEANINGS` says what each is."""

    ENVELOPE = "envelope"
    NO_COUNTERPART = "no-counterpart"
    UNATTESTED = "unattested"
    WORDING = "wording"
    SPELLING = "spelling"
    DATES = "dates"
    FILLED = "filled"
    STRUCTURE = "structure"
    LABELS = "labels"
    CAPPING = "capping"
    AUDIENCE = "audience"
    ASSET = "asset"
    DELIVERY = "delivery"
    DECISIONING = "decisioning"
    RANKING = "ranking"
    REFERENCES = "references"
    UNKNOWN = "unknown"
    TEXT_IDS = "text-ids"
    GUARD = "guard"
    NEEDS_OBJECT = "needs-object"
    OPERATION = "operation"
    MALFORMED = "malformed"
    ADDRESS = "address"


MEANINGS: Mapping[Loss, str] = {
    Loss.ENVELOPE: "ids, versions, dates and authors, which the service keeps itself",
    Loss.NO_COUNTERPART: "members that the other style does not have and that no customer notices",
    Loss.UNATTESTED: "written under a name that is inferred: no document shows it there",
    Loss.WORDING: "a word that the other style does not have, replaced by the nearest or left as it is",
    Loss.SPELLING: "a member that has two spellings, of which one is left",
    Loss.DATES: "dates without a zone, or no dates at all, left as they are",
    Loss.FILLED: "a member that the other style shows and this one may leave out: the channel of a representation",
    Loss.STRUCTURE: "the oldest form of a decision, rewritten as a criterion",
    Loss.LABELS: "data governance labels",
    Loss.CAPPING: "frequency capping that the other style cannot say, or says otherwise",
    Loss.AUDIENCE: "who may see an offer, beyond a decision rule",
    Loss.ASSET: "bindings to the asset library",
    Loss.DELIVERY: "what a placement returns, and how often",
    Loss.DECISIONING: "rules of the Decisioning product",
    Loss.RANKING: "orders by AI models and ranking formulas that the id map does not have: back to the priority",
    Loss.REFERENCES: "ids that the id map does not have: the reference is left out",
    Loss.UNKNOWN: "members that no table has",
    Loss.TEXT_IDS: "ids, attributes and addresses inside texts, which mean something else in another sandbox",
    Loss.GUARD: "test operations, which xcore does not have: left out, they guard nothing",
    Loss.NEEDS_OBJECT: "what depends on the object as it is",
    Loss.OPERATION: "operations that have no counterpart",
    Loss.MALFORMED: "values that are not of the kind that their member has",
    Loss.ADDRESS: "objects and containers that the id map does not have",
}
"""What each class is, in a line."""

NEVER_ALLOWED = frozenset({Loss.NEEDS_OBJECT, Loss.OPERATION, Loss.MALFORMED, Loss.ADDRESS})
"""Classes that cannot be allowed: without what they are about, there is nothing right to write."""

ALLOWABLE = tuple(loss for loss in Loss if loss not in NEVER_ALLOWED)
"""Classes that can be allowed."""


class Report(Struct, frozen=True):
    """One value that is not in the translation as it was, or that is in it by inference.

    Attributes:
        entity: type of the object.
        id: the object, as its source names it; "" if it has no id yet.
        pointer: where the value was, in the source's spelling.
        value: the value; `None` where there is none, as in a removal.
        direction: `xcore → dps` or `dps → xcore`.
        loss: its class.
        severity: whether it refuses the translation unless allowed.
        reason: a sentence without a full stop.
    """

    entity: str
    id: str
    pointer: str
    value: Json
    direction: str
    loss: Loss = field(name="class")
    severity: Severity
    reason: str


class Translated(Struct, Generic[T], frozen=True):
    """A translation, and what it is not quite.

    Attributes:
        result: the document, or the operations, in the other style.
        reports: what was lost, in the order in which it was met.
    """

    result: T
    reports: tuple[Report, ...] = ()


class Refused(Struct, frozen=True):
    """No translation, because of a severe loss that nobody has allowed.

    Attributes:
        reports: all losses; at least one is severe.
    """

    reports: tuple[Report, ...]


Translation: TypeAlias = Translated[T] | Refused
