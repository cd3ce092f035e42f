"""What the tests of edits share: offers with texts, spelled as either style spells them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import UNSET

from migrator.core.edit import Conflict, located
from migrator.core.model import Edit, EntityType, Json, Kind, Operation, Seen, Step, TextChange
from migrator.core.patch import CannotApply
from migrator.core.styles import Style

WEB, MAIL, APP = (f"dps:offer-placement:{number}" for number in (1, 2, 3))

HTML, TEXT = "text/html", "text/plain"

Component = tuple[str, str, str]
"""Language tag ("" for none), format, content."""


def component(style: Style, language: str, format_: str, content: Json = UNSET) -> dict[str, Json]:
    """Return a component; without a content if that is `UNSET`."""
    names = style.texts
    made: dict[str, Json] = {names.kind: "component-text", names.format: format_, names.content: content}
    made |= {names.language: [language]} if language else {}
    return {name: value for name, value in made.items() if value is not UNSET}


def representation(style: Style, placement: str, components: Sequence[Component]) -> dict[str, Json]:
    made = [component(style, *one) for one in components]
    return {style.texts.placement: placement, style.texts.components: made}


def offer(style: Style, **texts: Sequence[Component]) -> dict[str, Json]:
    """Return the document of an offer with a representation for each of the placements `web`, `mail` and `app`."""
    ids = {"web": WEB, "mail": MAIL, "app": APP}
    return document(style, [representation(style, ids[name], components) for name, components in texts.items()])


def document(style: Style, representations: Json) -> dict[str, Json]:
    name = "xdm:name" if style.root else "name"
    member = style.texts.representations.rpartition("/")[2]
    members = {name: "Spring"} | ({} if representations is UNSET else {member: representations})
    return {style.root[1:]: members} if style.root else members


def content_at(style: Style, index: int, component_index: int) -> str:
    """Return the pointer to the content of a component."""
    names = style.texts
    return f"{names.representations}/{index}/{names.components}/{component_index}/{names.content}"


WEB_TEXTS: list[Component] = [("en", HTML, "Hello"), ("fr", HTML, "Salut"), ("", HTML, "…")]
MAIL_TEXTS: list[Component] = [("en", TEXT, "Dear"), ("en", HTML, "<p>Dear</p>"), ("de-CH", TEXT, "Grüezi")]


def spring(style: Style) -> dict[str, Json]:
    """Return an offer with texts for two placements."""
    return offer(style, web=WEB_TEXTS, mail=MAIL_TEXTS)


def found(style: Style, edits: Sequence[Edit], on: Json = None) -> list[Operation]:
    """Return what edits are on a document, on `spring` if none is given."""
    return list(located(edits, spring(style) if on is None else on, style.texts))


def why(style: Style, edit: Edit, on: Json = None) -> str:
    """Return why an edit does not fit, behind what kind of misfit it is."""
    with pytest.raises(CannotApply) as caught:
        found(style, [edit], on)
    return f"{'conflict' if isinstance(caught.value, Conflict) else 'cannot apply'}: {caught.value}"


def put(path: str, value: Json) -> Operation:
    return Operation("replace", path, value)


def text(placement: str, language: str, content: str = "New", **more: Json) -> TextChange:
    return TextChange(placement, language, content, **more)


def missing(style: Style, placement: str, format_: str = HTML) -> dict[str, Json]:
    """Return the representation that an offer gets that has none for a placement."""
    return {
        style.texts.placement: placement,
        style.texts.channel: "web",
        style.texts.components: [{style.texts.kind: "html", style.texts.format: format_}],
    }


def step_of(body: bytes, kind: Kind = Kind.EDIT) -> Step:
    return Step(2, "k", "dev", EntityType.PERSONALIZED_OFFER, "o", kind, body)


def seen(document: Json, etag: int | None = 4) -> Seen:
    return Seen("o", "o", etag, document, changed_by="ann", changed_at="noon")
