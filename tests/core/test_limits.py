"""When a run stops itself."""

from __future__ import annotations

import pytest

from migrator.core.errors import Stopped
from migrator.core.limits import Fuse, Limits, Share, share_of


def failures_until_it_blows(fuse: Fuse, most: int = 1000) -> int | None:
    """Return how many failures it took, each of another kind; `None` if it does not blow."""
    for number in range(1, most + 1):
        try:
            fuse.failure("validation", number, "no")
        except Stopped:
            return number
    return None


@pytest.mark.parametrize(
    ("limits", "steps", "blows_at"),
    [
        (Limits(), 100, None),
        (Limits(Share(1)), 100, 2),
        (Limits(Share(10)), 100, 11),
        (Limits(Share(share=0.05)), 100, 6),
        (Limits(Share(share=0.05)), 119, 6),  # of 5.95 steps 5 may fail
        (Limits(Share(share=0.05)), 10, 1),
        (Limits(Share(share=0.29)), 100, 30),  # 0.29 × 100 is a little less than 29 to a computer
        (Limits(Share(share=1.0)), 100, 101),
        (Limits(Share(share=0.05)), 0, 1),
        (Limits(share_of("0")), 100, 1),
        (Limits(share_of("0%")), 100, 1),
        (Limits(share_of("5%")), 100, 6),
        (Limits(share_of("")), 100, None),
        (Limits(equal_failures=2), 100, None),  # they are all of another kind
    ],
)
def test_a_run_stops_with_one_failure_more_than_is_allowed(limits: Limits, steps: int, blows_at: int | None) -> None:
    assert failures_until_it_blows(Fuse(limits, steps)) == blows_at


@pytest.mark.parametrize(
    ("story", "blows"),
    [
        ("aaa", True),
        ("aabaa", False),
        ("aabaaa", True),
        ("aa+a", False),
        ("aa+aaa", True),
        ("ababab", False),
        ("aab+bb", False),
        ("+++", False),
    ],
)
def test_a_run_stops_when_so_many_in_a_row_fail_alike(story: str, blows: bool) -> None:
    fuse = Fuse(Limits(equal_failures=3), 100)

    def tell() -> None:
        for one in story:
            if one == "+":
                fuse.success()
            else:
                fuse.failure("validation", ord(one), "no such placement")

    if blows:
        with pytest.raises(Stopped, match=r"3 requests in a row failed alike: no such placement") as stopped:
            tell()
        assert "--equal-failures" in stopped.value.hint
    else:
        tell()


@pytest.mark.parametrize("second", [("validation", 400), ("conflict", 422), ("validation", None)])
def test_failures_are_alike_by_class_and_status(second: tuple[str, int | None]) -> None:
    fuse = Fuse(Limits(equal_failures=2), 100)
    fuse.failure("validation", 422, "no")
    fuse.failure(*second, "no")

    with pytest.raises(Stopped):
        fuse.failure(*second, "no")


def test_a_success_forgives_no_failure() -> None:
    fuse = Fuse(Limits(Share(1)), 100)
    fuse.failure("validation", 422, "no")
    fuse.success()

    with pytest.raises(Stopped, match="2 steps failed, more than --max-failures allows; the last one: no") as stopped:
        fuse.failure("not_found", 404, "no")
    assert "--max-failures" in stopped.value.hint


def test_what_looks_refuse_is_in_a_row_only_if_no_look_finds_anything_possible_between() -> None:
    fuse = Fuse(Limits(equal_failures=2), 100)
    for _ in range(5):
        fuse.failure("cannot_apply", None, "no such text", sent=False)
        fuse.fit()
    fuse.failure("cannot_apply", None, "no such text", sent=False)
    with pytest.raises(Stopped):
        fuse.failure("cannot_apply", None, "no such text", sent=False)


def test_that_looks_find_steps_possible_says_nothing_of_those_that_are_refused_when_they_are_sent() -> None:
    fuse = Fuse(Limits(equal_failures=2), 100)
    fuse.failure("validation", 422, "no")
    fuse.fit()
    with pytest.raises(Stopped):
        fuse.failure("validation", 422, "no")
