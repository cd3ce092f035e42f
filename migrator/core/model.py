"""The values that travel through a run, from an input row to the outcome of a request.

What belongs here: frozen values without behaviour beyond their own construction. What must never: a rule. Rules about
rows live in `rows`, about patches in `patch`, about plans in `plan`, about answers in `verdict`.

The way of a change::

    Row ──rows.parse──▶ Change ──plan.merge──▶ Step ──styles.render──▶ Request ──transport──▶ Answer
                                                                                                │
                                                  ledger ◀── Outcome ◀──── verdict.judge ◀──────┘

The values are `msgspec.Struct`s rather than dataclasses because one of each is made per row of the input, and they are
ten times cheaper to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from migrator.core.states import State

Json: TypeAlias = Any
"""A JSON value as Python spells it: dict, list, str, int, float, bool or None."""


class EntityType(StrEnum):
    """The kinds of object the Offer Library holds, in the words of an input file's `type` column."""

    PERSONALIZED_OFFER = "personalized-offer"
    FALLBACK_OFFER = "fallback-offer"
    PLACEMENT = "placement"
    DECISION_RULE = "decision-rule"
    TAG = "tag"
    COLLECTION = "collection"
    DECISION = "decision"


class Kind(StrEnum):
    """What a change does to its object."""

    PATCH = "patch"
    EDIT = "edit"
    """A patch that is made only on the object as it is: `core.edit` finds the places in it."""
    CREATE = "create"
    COPY = "copy"
    """A create after an object elsewhere: what it refers to is known by its id only when that has been made."""
    REPLACE = "replace"
    DELETE = "delete"


CREATES = frozenset({Kind.CREATE, Kind.COPY})
"""The kinds that make an object, to which the service gives its id."""


class Row(Struct, frozen=True):
    """One record of the input, as it was read and before anything is believed about it.

    Attributes:
        line: physical line of the file on which the record begins, counted from 1.
        cells: the record's members by name. From CSV every value is a `str`; from JSONL any JSON value.
        raw: the record in the form in which the results give it back: a JSON array of the cells for CSV, the line
            itself for JSONL.
    """

    line: int
    cells: Mapping[str, Json]
    raw: str


class Problem(Struct, frozen=True, order=True):
    """Something wrong with the input, said to the person who has to mend it.

    Attributes:
        line: physical line, counted from 1; 0 when the file as a whole is meant.
        column: the column or JSON member at fault, or "" when it is the whole row.
        message: what is wrong, one sentence without a full stop.
        hint: what to type instead, one sentence without a full stop; may be "".
    """

    line: int
    column: str
    message: str
    hint: str = ""


class Operation(Struct, frozen=True):
    """One JSON Patch operation (RFC 6902, section 4).

    Attributes:
        op: `add`, `remove`, `replace`, `copy` or `test`.
        path: JSON Pointer to the target (RFC 6901).
        value: operand of `add`, `replace` and `test`; `None` is the JSON null.
        source: the `from` member of `copy`.
    """

    op: str
    path: str
    value: Json = None
    source: str = ""


class TextChange(Struct, frozen=True, omit_defaults=True):
    """New content for one text of an offer, addressed as people do: by placement and language.

    Attributes:
        placement: the placement's id; its name until that is looked up.
        language: the language tag of the component; "" for the one that names no language.
        content: the new content.
        was: what the content must be for the change to be made; `None` to ask nothing.
        format: the media type of the component, where placement and language leave a choice; "" otherwise.
        missing: members of the representation to add if the offer has none for the placement, with one component in
            it, which is also what a missing language gets; `None` if nothing is to be added.
    """

    placement: str
    language: str
    content: str
    was: str | None = None
    format: str = ""
    missing: Mapping[str, Json] | None = None


class Swap(Struct, frozen=True, omit_defaults=True):
    """Another value at a place, on the condition that nobody has changed it since it was seen.

    Attributes:
        path: JSON Pointer.
        was: what must be there; `UNSET` for nothing.
        value: what shall be there; `UNSET` for nothing.
        version: the version of the object in which `was` was sent, if that is known: as long as the object has it,
            what is there is what the service has made of `was`.
    """

    path: str
    was: Json | UnsetType = UNSET
    value: Json | UnsetType = UNSET
    version: int | None = None


Edit: TypeAlias = Operation | TextChange | Swap
"""What a patch is made of: operations as the service knows them, and those whose place or effect the object decides."""


class By(StrEnum):
    """By what an object is looked up."""

    NAME = "name"
    REFERENCE = "reference"
    """The id by which other objects refer to it, where the URL takes another: the `@id` of xcore."""


class Sought(Struct, frozen=True):
    """An object whose id is not known yet."""

    by: By
    value: str


class Change(Struct, frozen=True):
    """What one row wants.

    Attributes:
        line: the row's line.
        container: the scope the object lives in: the container id of xcore, the sandbox name of dps.
        type: the kind of the object.
        object: the id that the URL addresses; "" for a create, whose id is the service's to give, and as long as
            it is to be looked up.
        kind: what is done to it.
        edits: the patch, for `Kind.PATCH` operations only, for `Kind.EDIT` others, too.
        document: the object to create, for `Kind.CREATE`; what the object is to be, for `Kind.REPLACE`; for `Kind.COPY`
            a `copying.Copy` as JSON.
        key: the caller's own name for a create, which tells two equal creates apart.
        sought: by what the object is to be looked up, or `None` if its id is known.
    """

    line: int
    container: str
    type: EntityType
    object: str
    kind: Kind
    edits: tuple[Edit, ...] = ()
    document: Mapping[str, Json] | None = None
    key: str = ""
    sought: Sought | None = None


class Touched(Struct, frozen=True, omit_defaults=True):
    """A place in an object that a change is about, with its value on either side of the change.

    Attributes:
        path: JSON Pointer; of a member, or of a whole array whose elements a patch inserts or removes.
        before: the value in the base; `UNSET` where there is none.
        after: the value once the change is applied to the base; `UNSET` where there is none.
    """

    path: str
    before: Json | UnsetType = UNSET
    after: Json | UnsetType = UNSET


class Base(Struct, frozen=True):
    """What an object was when its change was made ready: pinned to the step with the first intent.

    Attributes:
        etag: version of the object, or `None` if the service does not tell.
        touched: where the change touches it and how; `None` if the change cannot be applied to what was read, so that
            its effect is not known.
        body: the JSON text to send: as planned, or a patch with a guard in it, or rewritten so that it has one.
        guarded: whether the service itself refuses `body` once it has been applied, or the object has changed.
        name: what people call the object, "" if it has no name.
    """

    etag: int | None
    touched: tuple[Touched, ...] | None
    body: bytes
    guarded: bool
    name: str = ""


class Seen(Struct, frozen=True):
    """An object as the service shows it, in the one shape both endpoint styles are read into.

    Attributes:
        object: the id by which the URL addresses it.
        reference: the id by which other objects refer to it.
        etag: its version, or `None` if it is not told.
        document: what JSON Pointers of this style point into.
        created_at: seconds since the epoch, or `None` if it is not told.
        created_by_client: client id that created it, "" if it is not told (dps never does).
        changed_at: when it was last changed, as the service spells it.
        changed_by: the user who last changed it.
        changed_by_client: the client id by which that was done, "" if it is not told (dps never does).
    """

    object: str
    reference: str
    etag: int | None
    document: Mapping[str, Json]
    created_at: float | None = None
    created_by_client: str = ""
    changed_at: str = ""
    changed_by: str = ""
    changed_by_client: str = ""


class Page(Struct, frozen=True):
    """One page of a list.

    Attributes:
        seen: its objects.
        next: what to ask for the page behind it, "" if this is the last.
        total: how many objects the service says there are in all, or `None`.
    """

    seen: tuple[Seen, ...]
    next: str
    total: int | None


class Step(Struct, frozen=True, gc=False):
    """One request to send for one object: all the rows of that object merged.

    Attributes:
        seq: the line of its first row, which also orders the steps.
        key: content-made identity: a hash of what the step does and to what (`plan.step_key`).
        container: see `Change`.
        type: see `Change`.
        object: see `Change`.
        kind: see `Change`.
        body: the JSON text to send; empty for `DELETE`. That of the base, if there is one: for `EDIT` there must be.
        attempts: intents already written for it.
        misses: how many of them were lost and then found not to have been applied.
        based: whether its base is known and in the ledger.
        etag: of the base.
        guarded: whether the base guards it.
    """

    seq: int
    key: str
    container: str
    type: EntityType
    object: str
    kind: Kind
    body: bytes
    attempts: int = 0
    misses: int = 0
    based: bool = False
    etag: int | None = None
    guarded: bool = False


class Doubt(Struct, frozen=True):
    """A step whose fate is not known.

    Attributes:
        step: the step, with the body that was planned.
        base: what was pinned to it, or `None`.
        state: `DOUBT` or `UNRESOLVED`.
        first_sent_at: when the intent of its first attempt was written; seconds since the epoch.
        sent_at: when that of its last attempt was.
        ended_at: when its last attempt was given up, or `None` if its process died before.
        http_status: status of the answer to the last attempt, or `None` if there was none.
        error_class: why it is in doubt; a word of `core.verdict.ErrorClass`.
        message: what was said, in one line.
    """

    step: Step
    base: Base | None
    state: State
    first_sent_at: float
    sent_at: float
    http_status: int | None = None
    error_class: str = ""
    message: str = ""
    ended_at: float | None = None


class Request(Struct, frozen=True, gc=False):
    """One HTTP request, complete but for the credentials, which the transport adds and nothing else ever holds.

    Attributes:
        method: HTTP method.
        target: path and query under the service's base URL, percent-encoded, as it goes on the wire.
        headers: all headers that the endpoint style documents.
        body: octets to send, or `None` for no body.
        request_id: the value of `x-request-id`, fresh for each attempt.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    request_id: str


class Response(Struct, frozen=True, gc=False):
    """An answer of the service, read to its end.

    Attributes:
        status: HTTP status.
        headers: response headers; names in lower case.
        body: the octets received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class FailureKind(StrEnum):
    """What is known of a request that got no readable answer (`reference/resumption.md` section 4)."""

    NOT_SENT = "not_sent"
    """Nothing reached the service: name look-up, refused connection, TLS, no token. Safe to send again."""
    NO_CREDENTIALS = "no_credentials"
    """Nothing was sent, because the identity service refuses to give a token."""
    LOST = "lost"
    """It was, or may have been, sent and no complete answer came back. Only looking can tell."""


class Failure(Struct, frozen=True, gc=False):
    """No answer: why, in the words of the transport, and what that proves."""

    kind: FailureKind
    message: str


Answer: TypeAlias = Response | Failure
"""What the transport returns: expected failure is a value."""


class Receipt(Struct, frozen=True, gc=False):
    """The service's word on a write, in the one shape both endpoint styles are read into.

    Attributes:
        object: the id by which the URL addresses the object: `instanceId` in xcore, `id` in dps.
        etag: version of the object after the write.
        reference: the id by which other objects refer to it: `@id` in xcore, the same `id` in dps.
    """

    object: str
    etag: int | None
    reference: str
