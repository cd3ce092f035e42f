"""What an object was before an edit or a deletion: which patch the edit is on it, and whether it is still the same."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.base import Unfit, changes_nothing, drift, examine
from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Base, Edit, Json, Kind, Operation, Swap, Touched
from migrator.core.patch import CannotApply, apply
from migrator.core.styles import DPS, XCORE, Style
from migrator.core.verdict import ErrorClass
from tests.core.styles import STYLES
from tests.core.texts import (
    APP,
    HTML,
    MAIL,
    MAIL_TEXTS,
    WEB,
    WEB_TEXTS,
    content_at,
    missing,
    offer,
    put,
    seen,
    spring,
    step_of,
    text,
)


def examined(
    style: Style, *edits: Edit, on: Json = None, kind: Kind = Kind.EDIT, strict: bool = False, etag: int | None = 4
) -> Base | Unfit:
    document = spring(style) if on is None else on
    return examine(step_of(edits_body(edits), kind), seen(document, etag), style, strict=strict)


def base_of(style: Style, *edits: Edit, on: Json = None, etag: int | None = 4) -> Base:
    base = examined(style, *edits, on=on, etag=etag)
    assert isinstance(base, Base)
    return base


def anchors(index: int, component_index: int, language: str) -> list[Operation]:
    """Return the tests of what tells a text in HTML for the web from others."""
    representation = f"/representations/{index}"
    component = f"{representation}/components/{component_index}"
    told = [Operation("test", f"{component}/language", [language])] if language else []
    return [
        Operation("test", f"{representation}/placement", WEB),
        *told,
        Operation("test", f"{component}/format", HTML),
    ]


# --- edits ------------------------------------------------------------------------------------------------------------


def test_an_edit_in_dps_is_sent_as_the_patch_that_it_is_there_behind_a_test_of_what_it_changes() -> None:
    base = base_of(DPS, text(WEB, "fr"), Swap("/name", "Spring", "Summer"))

    fr = content_at(DPS, 0, 1)
    assert edits_of(base.body) == (
        Operation("test", fr, "Salut"),
        Operation("test", "/name", "Spring"),
        *anchors(0, 1, "fr"),
        put(fr, "New"),
        put("/name", "Summer"),
    )
    assert base.touched == (Touched(fr, "Salut", "New"), Touched("/name", "Spring", "Summer"))
    assert (base.etag, base.guarded) == (4, True)


def test_an_edit_in_xcore_is_sent_as_the_patch_that_it_is_there_and_its_etag_guards_it() -> None:
    base = base_of(XCORE, text(WEB, "fr"), Swap("/_instance/xdm:name", "Spring", "Summer"))

    fr = content_at(XCORE, 0, 1)
    assert edits_of(base.body) == (put(fr, "New"), put("/_instance/xdm:name", "Summer"))
    assert base.touched == (Touched(fr, "Salut", "New"), Touched("/_instance/xdm:name", "Spring", "Summer"))
    assert (base.etag, base.guarded) == (4, True)
    assert not base_of(XCORE, text(WEB, "fr"), etag=None).guarded


@STYLES
def test_what_is_sent_depends_on_where_the_text_is(style: Style) -> None:
    moved = offer(style, mail=MAIL_TEXTS, web=[WEB_TEXTS[1], WEB_TEXTS[0]])

    (place,) = base_of(style, text(WEB, "en"), on=moved).touched or ()

    assert place == Touched(content_at(style, 1, 1), "Hello", "New")


SAME = [("en", HTML, "Same"), ("de", HTML, "Same")]


@pytest.mark.parametrize(
    "left",
    [
        offer(DPS, web=SAME[::-1]),  # the languages have changed places
        offer(DPS, mail=SAME, web=SAME),  # a copy for another placement has come in front
        offer(DPS, web=[("de", HTML, "Same"), *SAME]),
        offer(DPS, web=[("en", "text/plain", "Same")]),
    ],
)
def test_a_text_of_the_same_content_that_has_taken_its_place_is_not_changed_instead(left: Json) -> None:
    base = base_of(DPS, text(WEB, "en"), on=offer(DPS, web=SAME))

    with pytest.raises(CannotApply):
        apply([one for one in edits_of(base.body) if isinstance(one, Operation)], left)


def test_what_tells_a_text_from_others_is_tested_as_far_as_it_is_told() -> None:
    en, none = content_at(DPS, 0, 0), content_at(DPS, 0, 2)

    assert edits_of(base_of(DPS, text(WEB, "")).body) == (
        Operation("test", none, "…"),
        *anchors(0, 2, ""),
        put(none, "New"),
    )
    # Once for all edits of one text, and of a swap inside of it, too; a patch says itself what it is for.
    twice = base_of(DPS, text(WEB, "en"), Swap(en, "New", "Newer"))
    assert edits_of(twice.body)[:4] == (Operation("test", en, "Hello"), *anchors(0, 0, "en"))
    by_index = examined(DPS, put(en, "New"), kind=Kind.PATCH)
    assert isinstance(by_index, Base)
    assert edits_of(by_index.body) == (Operation("test", en, "Hello"), put(en, "New"))


def test_what_an_edit_appends_is_sent_so_that_it_is_refused_the_second_time() -> None:
    names, there = DPS.texts, spring(DPS)
    for change, list_ in (
        (text(WEB, "it", missing=missing(DPS, WEB)), f"{names.representations}/0/{names.components}"),
        (text(APP, "it", missing=missing(DPS, APP)), names.representations),
    ):
        base = base_of(DPS, change)
        sent = [(one.op, one.path) for one in edits_of(base.body) if isinstance(one, Operation)]
        placement = [("test", "/representations/0/placement")] if list_.endswith("components") else []
        assert sent == [("test", list_), *placement, ("replace", list_)]
        after = apply([one for one in edits_of(base.body) if isinstance(one, Operation)], there)
        with pytest.raises(CannotApply):
            apply([one for one in edits_of(base.body) if isinstance(one, Operation)], after)


def test_operations_beside_edits_go_with_them_and_are_guarded_alike() -> None:
    base = base_of(DPS, Operation("add", "/tags", ["t"]), text(WEB, "en"), Operation("add", "/tags/-", "u"))

    en = content_at(DPS, 0, 0)
    assert base.touched == (Touched("/tags", UNSET, ["t", "u"]), Touched(en, "Hello", "New"))
    assert edits_of(base.body) == (
        Operation("test", en, "Hello"),
        *anchors(0, 0, "en"),
        Operation("add", "/tags", ["t"]),
        put(en, "New"),
        Operation("add", "/tags/-", "u"),
    )


@STYLES
@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.PATCH])
def test_what_changes_nothing_is_known_to_change_nothing(style: Style, kind: Kind) -> None:
    name = f"{style.root}/{'xdm:' if style is XCORE else ''}name"
    edits: list[Edit] = [put(name, "Spring"), Operation("test", name, "Spring")]
    if kind is Kind.EDIT:
        edits += [text(WEB, "en", "Hello", was="Other"), Swap(f"{style.root}/nothing", "there")]

    base = examined(style, *edits, kind=kind)

    assert isinstance(base, Base)
    assert changes_nothing(base)
    assert changes_nothing(base_of(style))


@STYLES
@pytest.mark.parametrize(
    "edits",
    [
        [text(WEB, "en")],
        [text(WEB, "en", "Hello"), text(WEB, "fr")],
        [text(WEB, "en", "hello")],
        [Swap("/more", UNSET, None)],
        [Operation("add", "/more", 1), Operation("replace", "/more", 2)],
    ],
)
def test_what_changes_anything_is_not_taken_for_nothing(style: Style, edits: list[Edit]) -> None:
    assert not changes_nothing(base_of(style, *edits))


@STYLES
def test_what_comes_and_goes_changes_nothing(style: Style) -> None:
    there_and_back = [Operation("add", "/more", 1), Operation("remove", "/more")]

    assert changes_nothing(base_of(style, *there_and_back))
    assert not changes_nothing(Base(4, None, b"[]", guarded=False)), "whose effect is not known"


@STYLES
@pytest.mark.parametrize(
    ("edit", "error", "said"),
    [
        (text(APP, "en"), ErrorClass.CANNOT_APPLY, "the offer has no representation"),
        (text(WEB, "en", was="Old"), ErrorClass.CONFLICT, 'the text is "Hello", and `was` says "Old"'),
        (Swap("/more", "Old", 1), ErrorClass.CONFLICT, "/more is not there"),
        (put("/nobody", 1), ErrorClass.CANNOT_APPLY, "nobody"),
        (Operation("test", "/nobody", 1), ErrorClass.CANNOT_APPLY, "nobody"),
    ],
)
def test_an_edit_that_does_not_fit_is_not_sent(style: Style, edit: Edit, error: ErrorClass, said: str) -> None:
    unfit = examined(style, text(WEB, "fr"), edit)

    assert isinstance(unfit, Unfit)
    assert unfit.error is error
    assert said in unfit.message


@STYLES
def test_whether_a_patch_fits_is_the_services_to_say_unless_it_is_asked_strictly(style: Style) -> None:
    misfit = put("/nobody", 1)

    assert examined(style, misfit, kind=Kind.PATCH) == Base(
        4, None, edits_body([misfit]), guarded=style.guards_by_etag, name="Spring"
    )
    unfit = examined(style, misfit, kind=Kind.PATCH, strict=True)
    assert isinstance(unfit, Unfit)
    assert unfit.error is ErrorClass.CANNOT_APPLY
    fit = put(f"{style.root}/{'xdm:' if style is XCORE else ''}name", "Summer")
    assert examined(style, fit, kind=Kind.PATCH, strict=True) == examined(style, fit, kind=Kind.PATCH)


# --- deletions --------------------------------------------------------------------------------------------------------


@STYLES
@pytest.mark.parametrize("etag", [4, None])
def test_the_base_of_a_deletion_is_the_whole_object(style: Style, etag: int | None) -> None:
    base = examine(step_of(b"", Kind.DELETE), seen(spring(style), etag), style)

    assert base == Base(etag, (Touched("", spring(style), UNSET),), b"", guarded=False, name="Spring")
    assert not changes_nothing(base)


# --- drift ------------------------------------------------------------------------------------------------------------


@STYLES
def test_what_has_the_same_version_has_not_drifted(style: Style) -> None:
    base = base_of(style, text(WEB, "en"))

    assert drift(base, base) == ""
    assert drift(base, base_of(style, text(WEB, "en"), on=offer(style, web=[("en", HTML, "Other")]))) == ""


EN, FR = content_at(DPS, 0, 0), content_at(DPS, 0, 1)


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (["Hello", "Salut"], "version 4 then, 5 now; not where the change touches it"),
        (["Hi", "Salut"], f'version 4 then, 5 now; {EN} was "Hello", is "Hi"'),
        (["Hi", "Allô"], f'version 4 then, 5 now; {EN} was "Hello", is "Hi"; {FR} was "Salut", is "Allô"'),
        (["y" * 300_000, "Salut"], f'version 4 then, 5 now; {EN} was "Hello", is "{"y" * 58}…'),
    ],
)
def test_what_has_another_version_has_drifted_and_it_is_said_where(now: list[str], sentence: str) -> None:
    there = offer(DPS, web=[("en", HTML, now[0]), ("fr", HTML, now[1])])
    edits = [text(WEB, "en"), text(WEB, "fr")]
    planned = base_of(DPS, *edits, on=offer(DPS, web=[("en", HTML, "Hello"), ("fr", HTML, "Salut")]))

    assert drift(planned, base_of(DPS, *edits, on=there, etag=5)) == sentence


def test_a_text_that_has_moved_has_drifted_as_far_as_the_version_tells() -> None:
    planned = base_of(DPS, text(MAIL, "de-CH"))
    moved = base_of(DPS, text(MAIL, "de-CH"), on=offer(DPS, mail=MAIL_TEXTS, web=WEB_TEXTS), etag=5)

    assert drift(planned, moved) == "version 4 then, 5 now; not where the change touches it"
    untold = replace(planned, etag=None)
    assert drift(untold, replace(moved, etag=None)) == "its version is not told; not where the change touches it"


@pytest.mark.parametrize(("then", "now"), [(None, 4), (4, None), (None, None)])
def test_without_versions_what_is_touched_tells(then: int | None, now: int | None) -> None:
    planned = base_of(DPS, text(WEB, "en"), text(WEB, "fr"), etag=then)
    edited = offer(DPS, web=[("en", HTML, "Hi"), ("fr", HTML, "Salut")])

    assert drift(planned, base_of(DPS, text(WEB, "en"), text(WEB, "fr"), etag=now)) == ""
    assert drift(planned, base_of(DPS, text(WEB, "en"), text(WEB, "fr"), on=edited, etag=now)) == (
        f'its version is not told; {EN} was "Hello", is "Hi"'
    )
    # Something else is touched than was.
    assert drift(planned, base_of(DPS, text(WEB, "en"), etag=now)) == (
        "its version is not told; not where the change touches it"
    )


def test_where_the_effect_is_not_known_only_the_version_tells() -> None:
    unknown = Base(4, None, b"[]", guarded=False)

    assert drift(unknown, unknown) == ""
    assert drift(unknown, replace(unknown, etag=6)) == "version 4 then, 6 now"
    untold = replace(unknown, etag=None)
    assert drift(untold, untold) == "its version is not told"


@STYLES
def test_an_object_that_is_to_be_deleted_has_drifted_with_anything_in_it(style: Style) -> None:
    def planned(document: Json, etag: int | None) -> Base:
        base = examine(step_of(b"", Kind.DELETE), seen(document, etag), style)
        assert isinstance(base, Base)
        return base

    was, other = spring(style), offer(style, web=WEB_TEXTS)
    assert drift(planned(was, 4), planned(was, 4)) == ""
    assert drift(planned(was, None), planned(json.loads(json.dumps(was)), None)) == ""
    assert drift(planned(was, None), planned(other, None)).startswith("its version is not told; the object was {")
    assert drift(planned(was, 4), planned(other, 5)).startswith("version 4 then, 5 now; the object was {")
