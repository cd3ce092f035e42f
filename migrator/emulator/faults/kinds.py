"""The table of faults: all that the server can do wrong on purpose (errors-and-limits 7), and the keys of a rule.

What a text may say, the messages about what it may not, and the help are all read from here. A new fault is a function
and a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from migrator.emulator.codes import GATEWAY_CODES
from migrator.emulator.faults import connections, disguises, meddling, refusals
from migrator.emulator.faults.parameters import choice, count, fraction, retry_after, seconds, status, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.emulator.faults.parameters import Parameter
    from migrator.emulator.faults.strikes import Act

Phase = Literal["arrival", "gateway", "before", "late", "after", "world"]
Target = Literal["any", "object", "list", "page"]

PHASES: dict[Phase, str] = {
    "arrival": "before the token is looked at",
    "gateway": "at the gateway, no effect",
    "before": "before the effect, which does not come",
    "late": "before the effect, which comes later",
    "after": "after the effect",
    "world": "around the effect",
}
"""Where a fault strikes, from the outside to the inside. One that strikes further out is due first and sees the answer
last; those further in do not come into it when one in the first four ends the request."""

ENDING: frozenset[Phase] = frozenset({"gateway", "before", "late"})
"""Phases whose faults end a request: those further in have nothing left to strike."""

READS = ("GET",)
WRITES = ("POST", "PUT", "PATCH", "DELETE")
CHANGES = ("PUT", "PATCH", "DELETE")
ALL = READS + WRITES


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault.

    Attributes:
        name: what rules call it.
        phase: where it strikes.
        says: what it does, in one line.
        act: what it does.
        methods: HTTP methods it can strike.
        target: ``object``, requests about one object; ``list``, lists and searches; ``page``, those that go on from
            another page; ``any``.
        styles: what it strikes when the rule does not say: endpoint styles, or ``ims`` for the token endpoint.
        parameters: its own keys, beside those of every rule.
    """

    name: str
    phase: Phase
    says: str
    act: Act
    methods: tuple[str, ...] = ALL
    target: Target = "any"
    styles: tuple[str, ...] = ("xcore", "dps")
    parameters: tuple[Parameter, ...] = ()

    @property
    def ends(self) -> bool:
        """Whether nothing further in is reached."""
        return self.phase in ENDING

    @property
    def at_token_endpoint(self) -> bool:
        """Whether a rule may name the style ``ims``."""
        return self.target == "any" and self.phase in ("gateway", "before", "after")


COMMON = (
    text("path", "glob for the path", "*"),
    choice("style", "endpoint style; ims is the token endpoint", ("xcore", "dps", "ims")),
    count("n", "only the n-th matching request"),
    count("every", "each so-manyth matching request"),
    fraction("p", "probability for each matching request"),
    count("after", "leave so many matching requests alone first"),
    count("max", "strike so many times at most"),
)
"""The keys of every rule. Without n, every or p, every matching request is struck."""

_HOW = choice("how", "how the connection ends", ("close", "reset"), "close")
_THEN = choice("then", "what the client gets in the end", ("drop", "504"), "drop")
_DATE_S = seconds("seconds", "from now to the date of retry-after=date", "2")


_FAILURE = (choice("body", "shape of the body", refusals.BODIES, "problem"), retry_after("none"), _DATE_S)
_PAGE = (choice("body", "shape of the body", refusals.BODIES, "html"), *_FAILURE[1:])


def _failures() -> Iterator[Kind]:
    for number in (500, 502, 503, 504):
        keys = _FAILURE if number == 500 else _PAGE
        before, after = refusals.failing_before(number), refusals.failing_after(number)
        yield Kind(f"{number}-before", "before", f"{number}, and nothing was done", before, parameters=keys)
        yield Kind(f"{number}-after", "after", f"{number}, although it was done", after, parameters=keys)


_TABLE = (
    Kind("expire-token", "arrival", "the token of the request stops being valid (401013)", refusals.expire_token),
    Kind(
        "429",
        "gateway",
        "too many requests",
        refusals.too_many,
        parameters=(
            retry_after("1"),
            _DATE_S,
            choice("code", "gateway code", ("429050", "429001", "429002"), "429050"),
            choice("body", "whose refusal it is; problem is the service's", ("gateway", "problem"), "gateway"),
        ),
    ),
    Kind(
        "gateway",
        "gateway",
        "any refusal of the gateway, by its code",
        refusals.gateway,
        parameters=(choice("code", "gateway code", tuple(GATEWAY_CODES), "503000"),),
    ),
    Kind("forbidden", "gateway", "a permission has been revoked (403 of the service)", refusals.forbidden),
    Kind(
        "gone",
        "gateway",
        "the container does not exist (any more)",
        refusals.gone,
        styles=("xcore",),
        parameters=(status("404"),),
    ),
    Kind(
        "drop-before", "before", "connection closed, and nothing was done", connections.drop_before, parameters=(_HOW,)
    ),
    Kind(
        "stall-before",
        "before",
        "silence, then no answer, and nothing was done",
        connections.stall_before,
        parameters=(seconds("seconds", "of silence", "60"), _THEN),
    ),
    *(kind for kind in _failures() if kind.phase == "before"),
    Kind(
        "error-inside-before",
        "before",
        "200 with an error in its body, and nothing was done",
        refusals.error_inside_before,
        parameters=(status("422"),),
    ),
    Kind(
        "referenced",
        "before",
        "409: another object refers to this one",
        refusals.referenced,
        methods=("DELETE",),
        target="object",
    ),
    Kind(
        "late",
        "late",
        "no answer now, and it is done later",
        connections.late,
        methods=WRITES,
        parameters=(seconds("seconds", "until the effect", "5"), _THEN),
    ),
    Kind("drop-after", "after", "connection closed, although it was done", connections.drop_after, parameters=(_HOW,)),
    Kind(
        "stall-after",
        "after",
        "silence, then no answer, although it was done",
        connections.stall_after,
        parameters=(seconds("seconds", "of silence", "60"), _THEN),
    ),
    *(kind for kind in _failures() if kind.phase == "after"),
    Kind(
        "error-inside-after",
        "after",
        "200 with an error in its body, although it was done",
        refusals.error_inside_after,
        parameters=(status("500"),),
    ),
    Kind(
        "slow",
        "after",
        "the answer takes its time",
        connections.slow,
        parameters=(
            seconds("seconds", "to wait", "1"),
            choice("when", "on which side of the effect", ("before", "after"), "after"),
        ),
    ),
    Kind(
        "cut-body",
        "after",
        "the connection closes in the middle of the answer",
        connections.cut_body,
        parameters=(fraction("keep", "share of the body that is sent", "0.5"),),
    ),
    Kind("empty-body", "after", "the right status, and no body", disguises.empty_body),
    Kind("html", "after", "the right status, and a sign-in page", disguises.html),
    Kind(
        "wrong-type",
        "after",
        "the right body under another Content-Type",
        disguises.wrong_type,
        parameters=(text("type", "Content-Type", "text/plain"),),
    ),
    Kind("no-id", "after", "a receipt without ids", disguises.no_id, methods=("POST", "PUT", "PATCH")),
    Kind("repeat-page", "after", "the next link of a page leads to it", disguises.repeat_page, READS, "list"),
    Kind(
        "shift-page",
        "after",
        "a page that is not the first begins too late",
        disguises.shift_page,
        methods=READS,
        target="page",
        parameters=(count("count", "objects left out", "1"),),
    ),
    Kind(
        "foreign-edit",
        "world",
        "somebody else edits the object just before this write",
        meddling.foreign_edit,
        methods=CHANGES,
        target="object",
        parameters=(
            text("member", "member of the document to set [description]"),
            text("value", "text to set it to [new each time]"),
        ),
    ),
    Kind(
        "foreign-delete",
        "world",
        "somebody else deletes the object just before this request",
        meddling.foreign_delete,
        target="object",
    ),
    Kind("twin", "world", "somebody else creates the same object once more", meddling.twin, methods=("POST",)),
    Kind(
        "drop-unknown",
        "world",
        "members that the documents do not know are not kept (C-22)",
        meddling.drop_unknown,
        methods=("POST", "PUT", "PATCH"),
        parameters=(text("member", "glob for members of the document to lose instead"),),
    ),
    Kind(
        "reformat-dates",
        "world",
        "dates are written in another way, when read or (on a write) when kept",
        disguises.reformat_dates,
        methods=("GET", "POST", "PUT", "PATCH"),
        parameters=(
            choice("spelling", "how; other is Z for an offset and the other way round", disguises.SPELLINGS, "other"),
        ),
    ),
    Kind(
        "partial-patch",
        "world",
        "500, and half of the operations were applied (C-17)",
        meddling.partial_patch,
        methods=("PATCH",),
        target="object",
    ),
    Kind(
        "walk-edit",
        "world",
        "after a page, somebody else writes what the walk would reach last",
        meddling.walk_edit,
        methods=READS,
        target="list",
        parameters=(
            count("count", "objects written, all in one millisecond", "1"),
            choice("do", "what is done to them", ("edit", "delete"), "edit"),
        ),
    ),
    Kind(
        "search-lag",
        "world",
        "lists and searches show what was so some seconds ago (C-28)",
        meddling.search_lag,
        methods=READS,
        target="list",
        parameters=(seconds("seconds", "how far behind", "5"),),
    ),
)

KINDS = {kind.name: kind for kind in _TABLE}
"""All faults by name, from the outermost to the innermost."""
