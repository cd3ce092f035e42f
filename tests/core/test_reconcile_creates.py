"""What a search for a lost create proves."""

from __future__ import annotations

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from migrator.core.model import Doubt, EntityType, Json, Kind, Seen, Step
from migrator.core.reconcile import LONG_AGO_S, SKEW_S, Bounds, Finding, judge_search
from migrator.core.states import Move, State
from migrator.core.styles import DPS, XCORE
from migrator.core.styles.base import Style
from migrator.core.verdict import ErrorClass
from tests.core.styles import STYLES

FIRST_SENT_AT, SENT_AT = 1000.0, 2000.0
BOUNDS = Bounds(quiet_period_s=60, search_lag_s=30, max_attempts=5)
SOON, QUIET = SENT_AT + 89.9, SENT_AT + 90.0
US = "our-client"


def spelled(style: Style, **members: Json) -> dict[str, Json]:
    """Spell an object as a create does."""
    return {
        "name" if style is DPS and name == "name" else f"xdm:{name}" if style is XCORE else name: value
        for name, value in members.items()
    }


def create(style: Style, misses: int = 0, error: str = ErrorClass.NO_ANSWER, **members: Json) -> Doubt:
    body = encode(spelled(style, name="A", status="draft", **members))
    step = Step(2, "k", "dev", EntityType.TAG, "", Kind.CREATE, body, attempts=misses + 1, misses=misses)
    return Doubt(step, None, State.DOUBT, FIRST_SENT_AT, SENT_AT, None, error, "no answer")


def made(style: Style, object_: str = "o1", *, by: str = "", at: float | None = None, **members: Json) -> Seen:
    """Show an object as the service does: with more in it than it was given."""
    document = spelled(style, **{"name": "A", "status": "draft", "default": 0, **members})
    return Seen(
        object_,
        f"@{object_}",
        1,
        {style.root[1:]: document} if style.root else document,
        created_at=at,
        created_by_client=by,
    )


def word(finding: Finding | None) -> str:
    if finding is None:
        return "later"
    return f"find {finding.seen.object}" if finding.seen else finding.move.value


def search(
    style: Style,
    *found: Seen,
    doubt: Doubt | None = None,
    taken: frozenset[str] = frozenset(),
    now: float = QUIET,
    marker: str = "",
) -> Finding | None:
    return judge_search(doubt or create(style), found, style, BOUNDS, client_id=US, taken=taken, marker=marker, now=now)


@STYLES
@pytest.mark.parametrize(
    ("found", "quiet", "soon"),
    [
        # What is there can be seen at once; that it is not there, or what else is, when it is quiet and lists are up.
        ([{}], "find o1", "find o1"),
        ([], "miss", "later"),
        ([{}, {"object_": "o2"}], "give_up", "later"),
        ([{"status": "approved"}], "give_up", "later"),
        ([{}, {"object_": "o2", "status": "approved"}], "find o1", "find o1"),
        ([{"status": "approved"}, {"object_": "o2", "status": "live"}], "give_up", "later"),
        # Another name is another object, whatever else it has.
        ([{"name": "B"}], "miss", "later"),
        # Who made it, where that is told.
        ([{"by": US}], "find o1", "find o1"),
        ([{"by": "somebody-else"}], "give_up", "later"),
        ([{"by": "somebody-else"}, {"object_": "o2", "by": US}], "find o2", "find o2"),
        # When it was made, where that is told: the service's clock may be behind, but not so much.
        ([{"at": FIRST_SENT_AT}], "find o1", "find o1"),
        ([{"at": SENT_AT + 500}], "find o1", "find o1"),
        ([{"at": FIRST_SENT_AT - SKEW_S}], "find o1", "find o1"),
        ([{"at": FIRST_SENT_AT - SKEW_S - 1}], "give_up", "later"),
        ([{"at": FIRST_SENT_AT - LONG_AGO_S - 1}], "miss", "later"),
        ([{"at": FIRST_SENT_AT - SKEW_S - 1}, {"object_": "o2"}], "find o2", "find o2"),
    ],
)
def test_a_create_is_found_by_what_it_makes(style: Style, found: list[Json], quiet: str, soon: str) -> None:
    objects = [made(style, **one) for one in found]

    assert word(search(style, *objects)) == quiet
    assert word(search(style, *objects, now=SOON)) == soon


@STYLES
def test_what_another_step_has_made_is_not_what_this_one_made(style: Style) -> None:
    one, two = made(style), made(style, "o2")

    assert word(search(style, one, taken=frozenset({"o1"}))) == "miss"
    assert word(search(style, one, two, taken=frozenset({"o1"}))) == "find o2"
    assert word(search(style, one, two, taken=frozenset({"o3"}))) == "give_up"


@STYLES
@pytest.mark.parametrize("name", ["A", None, 5, ["A"]])
def test_an_object_without_a_name_is_not_it(style: Style, name: Json) -> None:
    assert word(search(style, made(style, name=name))) == ("find o1" if name == "A" else "miss")


@STYLES
def test_a_marker_tells_objects_of_one_name_apart(style: Style) -> None:
    prefix = "xdm:" if style is XCORE else ""
    marker = f"/{prefix}mark"
    doubt = create(style, mark="run:2")
    mine, other = made(style, "o1", mark="run:2"), made(style, "o2", mark="run:3")

    def proven(*found: Seen, now: float = QUIET) -> str:
        return word(search(style, *found, doubt=doubt, marker=marker, now=now))

    assert proven(mine, other) == "find o1"
    assert proven(mine, other, now=SOON) == "find o1"
    assert proven(other) == "miss"
    assert proven(made(style)) == "give_up", "the service may have dropped the marker"
    assert proven(mine, made(style, "o3", mark="run:2")) == "give_up"
    # Ours for certain, but not as it was sent.
    assert proven(made(style, mark="run:2", status="approved")) == "give_up"


@pytest.mark.parametrize("pointer", ["/mark", "/characteristics/mark"])
def test_a_marker_may_lie_deep(pointer: str) -> None:
    doubt = create(DPS, characteristics={"mark": "run:2"}, mark="run:2")
    mine = made(DPS, characteristics={"mark": "run:2", "more": 1}, mark="run:2")

    assert word(search(DPS, mine, doubt=doubt, marker=pointer)) == "find o1"
    assert (
        word(search(DPS, made(DPS, characteristics={"mark": "run:3"}, mark="run:3"), doubt=doubt, marker=pointer))
        == "miss"
    )


@pytest.mark.parametrize(
    ("misses", "error", "proven", "as_"),
    [
        (0, ErrorClass.NO_ANSWER, Move.MISS, ErrorClass.NONE),
        (3, ErrorClass.NO_ANSWER, Move.MISS, ErrorClass.NONE),
        (4, ErrorClass.NO_ANSWER, Move.REJECT, ErrorClass.NO_ANSWER),
        # A name that is taken, and by nothing that could be ours.
        (1, ErrorClass.GUARD_FAILED, Move.REJECT, ErrorClass.CONFLICT),
    ],
)
def test_a_create_that_is_never_found_is_sent_only_so_often(
    misses: int, error: ErrorClass, proven: Move, as_: ErrorClass
) -> None:
    doubt = create(DPS, misses, error)

    finding = search(DPS, doubt=doubt)
    assert finding is not None
    assert (finding.move, finding.error) == (proven, as_)
    assert search(DPS, doubt=doubt, now=SOON) is None
    assert word(search(DPS, made(DPS), doubt=doubt, now=SOON)) == "find o1"


def test_what_cannot_be_told_names_the_objects() -> None:
    twice = search(DPS, made(DPS), made(DPS, "o2"))
    differs = search(DPS, made(DPS, status="approved"), doubt=replace(create(DPS), http_status=500))

    assert twice == Finding(Move.GIVE_UP, "it is there 2 times: o1 and o2. Keep one", ErrorClass.UNDECIDED)
    assert differs is not None
    assert differs.note == "o1 has its name and was made at that time, but is not what was sent. Is it ours?"
