"""A walk: one translation under way, with what it may look up and what it has to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from migrator.core.mapping.losses import Loss, Report, Severity
from migrator.core.model import Json
from migrator.core.values import json_kind


class _Left:
    """The value of a member that is left out of the translation."""


LEFT: Final[Any] = _Left()
"""Stands where a value was lost; the report is made already."""


class Context(Struct, frozen=True):
    """What a translation may ask, and what it may do.

    Attributes:
        resolve: the id in the target for a type and an id in the source, or `None` if nobody knows.
        channel_of: the channel of a placement, given by its id in the source; or `None`.
        allowed: classes of severe losses that are accepted.
        capping_verbatim: write counters to dps as xcore has them, and not as frequency capping.
        asset_urls: use the address of an asset where a component has no other.
        other_sandbox: whether the target is another sandbox, in which ids inside texts lead elsewhere.
    """

    resolve: Callable[[str, str], str | None] = lambda _type, _id: None
    channel_of: Callable[[str], str | None] = lambda _: None
    allowed: frozenset[Loss] = frozenset()
    capping_verbatim: bool = False
    asset_urls: bool = False
    other_sandbox: bool = False

    def refuses(self, severity: str, loss: str) -> bool:
        """Whether a loss of a class and a severity stands in the way."""
        return severity == Severity.SEVERE and loss not in self.allowed


class Known(Struct, frozen=True):
    """What is known of the object that a patch is for. Documents are as `Seen` has them: pointers lead into them.

    Attributes:
        id: the object, as its source names it.
        source: the object that the patch was written for, as it is before it.
        target: the object that the translation will be sent to, as it is.
    """

    id: str = ""
    source: Json | UnsetType = UNSET
    target: Json | UnsetType = UNSET


UNKNOWN = Known()
"""Nothing is known of the object."""


class Walk:
    """One translation under way.

    Attributes:
        context: see `Context`.
        reports: what was lost so far.
        prefixed: whether members of a rule that xcore spells either way are written with their prefix.
    """

    __slots__ = ("_direction", "_entity", "_id", "context", "prefixed", "reports")

    def __init__(self, context: Context, entity: str, direction: str, id_: str) -> None:
        """Begin to translate an object of type `entity`."""
        self.context = context
        self.reports: list[Report] = []
        self.prefixed = False
        self._entity = entity
        self._direction = direction
        self._id = id_

    def report(self, at: str, value: Json, loss: Loss, severity: Severity, reason: str) -> None:
        """Tell of a loss."""
        self.reports.append(Report(self._entity, self._id, at, value, self._direction, loss, severity, reason))

    def inform(self, at: str, value: Json, loss: Loss, reason: str) -> None:
        """Tell of a loss that nobody needs to allow."""
        self.report(at, value, loss, Severity.INFORMATIONAL, reason)

    def refuse(self, at: str, value: Json, loss: Loss, reason: str) -> None:
        """Tell of a loss that somebody has to allow."""
        self.report(at, value, loss, Severity.SEVERE, reason)

    def malformed(self, at: str, value: Json, wanted: str) -> Any:
        """Tell that a value is of the wrong kind, and return what stands in its place."""
        self.refuse(at, value, Loss.MALFORMED, f"must be {wanted}, not {json_kind(value)}")
        return LEFT

    def quiet(self) -> Walk:
        """Return a walk that is the same and whose reports nobody reads."""
        return Walk(self.context, self._entity, self._direction, self._id)

    @property
    def refused(self) -> bool:
        """Whether a severe loss is not allowed."""
        return any(self.context.refuses(report.severity, report.loss) for report in self.reports)
