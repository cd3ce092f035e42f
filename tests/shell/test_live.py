"""The live view: what it shows of a run, in which width."""

from __future__ import annotations

import io
from collections import Counter

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live

from migrator.cli.live import FEW, SLOWEST, Bar, Sight, picture, shown_bars
from migrator.cli.output import tell
from migrator.cli.standing import Standing
from migrator.ledger.reading import ContainerStand

STANDING = Standing(applied=90, unchanged=20, failed=3, in_doubt=2, unresolved=1, surveyed=0)
SIGHT = Sight(
    STANDING,
    300,
    [Bar("e0bd8463-0913-4ca1-bd84-6309134ca1f6", 60, 100), Bar("dev", 54, 200)],
    rate=48.2,
    limit=50,
    left_s=190,
    note="paused until 18:03:12: HTTP 429: Too many requests",
    last_error="HTTP 422: Unprocessable Entity: can't replace a non-existent object 'prioritty' of this offer",
)


def drawn(sight: Sight, width: int, **options: object) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, **{"color_system": None, **options})  # type: ignore[arg-type]
    console.print(picture(sight, width))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [120, 80, 40, 20])
def test_no_line_is_longer_than_the_terminal_and_there_are_as_many_at_any_width(width: int) -> None:
    lines = drawn(SIGHT, width)

    assert len(lines) == 6
    assert max(map(cell_len, lines)) <= width


def test_a_wide_terminal_shows_everything() -> None:
    whole, first, second, counts, note, error = drawn(SIGHT, 120)

    assert "114/300" in whole
    assert "48.2/s of 50/s" in whole
    assert "3 min left" in whole
    assert ("60/100" in first, "54/200" in second) == (True, True)
    assert counts.strip() == "90 applied · 20 unchanged · 3 failed · 2 in doubt · 1 unresolved"
    assert note.strip() == SIGHT.note
    assert error.startswith("last error: HTTP 422")


def test_a_narrow_terminal_keeps_the_bars_their_numbers_and_what_went_wrong() -> None:
    quiet = Sight(Standing(7, 0, 0, 0, 0, 0), 10)

    assert [line.strip() for line in drawn(quiet, 40)][1] == "7 applied"
    assert "114/300" in drawn(SIGHT, 40)[0]
    assert "/s" not in drawn(SIGHT, 40)[0]
    assert "3 failed" in drawn(SIGHT, 40)[3]


def test_its_height_does_not_change_when_a_pause_or_an_error_comes_and_goes() -> None:
    calm = msgspec.structs.replace(SIGHT, note="", last_error="")

    assert len(drawn(calm, 80)) == len(drawn(SIGHT, 80))


def test_without_colours_a_bar_still_shows_how_far_it_is() -> None:
    half = drawn(Sight(Standing(50, 0, 0, 0, 0, 0), 100), 80, color_system="truecolor", no_color=True)[0]
    whole = drawn(Sight(Standing(100, 0, 0, 0, 0, 0), 100), 80, color_system="truecolor", no_color=True)[0]

    assert 0.4 < half.count("━") / whole.count("━") < 0.6
    assert "\x1b[3" not in half


def test_what_a_service_says_cannot_steer_the_terminal() -> None:
    lines = drawn(msgspec.structs.replace(SIGHT, last_error="a\x1b[2Jb\nc", bars=[Bar("x\x1b[H", 1, 2)]), 80)

    assert len(lines) == 5
    assert not any("\x1b" in line for line in lines)


def stands(*ended: int, steps: int = 10) -> list[ContainerStand]:
    return [ContainerStand(f"c{number}", steps, count) for number, count in enumerate(ended)]


def test_few_containers_have_a_bar_each_and_a_single_one_needs_none() -> None:
    bars, hidden = shown_bars(stands(1, 2), Counter(c0=4))

    assert (list(bars), hidden) == ([Bar("c0", 5, 10), Bar("c1", 2, 10)], 0)
    assert shown_bars(stands(1), {}) == ((), 0)
    assert len(shown_bars(stands(*[0] * FEW), {})[0]) == FEW


def test_of_many_containers_the_slowest_have_a_bar_and_those_that_are_done_never() -> None:
    bars, hidden = shown_bars(stands(9, 10, 1, 5, 0, 10, 3, 10), {"c4": 2})

    assert [bar.name for bar in bars] == ["c2", "c4", "c6"]
    assert hidden == 8 - SLOWEST
    assert shown_bars(stands(*[10] * 8), {}) == ([], 8)


def test_what_is_told_while_a_view_is_live_goes_above_it_and_not_through_it() -> None:
    screen = io.StringIO()
    with Live("the view", console=Console(file=screen, force_terminal=True, width=80), auto_refresh=False):
        tell("stopping")

    assert "stopping" in screen.getvalue()
