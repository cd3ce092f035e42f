"""The pictures of a report, as numbers."""

from __future__ import annotations

import pytest

from migrator.ledger.history import Fate
from migrator.reports.charts import BARS, BREAK, Timeline, latency, slices, timeline

NOON = 1_800_000_000


def steady(begin: int, seconds: int, count: int = 4) -> list[tuple[int, Fate, int]]:
    return [(begin + second, Fate.DONE, count) for second in range(seconds)]


def drawn(sent: list[tuple[int, Fate, int]], limit: float = 0.0) -> Timeline:
    found = timeline(sent, limit)
    assert found is not None
    return found


def test_nothing_sent_is_no_picture() -> None:
    assert timeline([], 5.0) is None
    assert latency([]) is None


def test_a_bar_is_as_high_as_its_requests_a_second_are_to_the_top() -> None:
    # The top is a tenth above the limit, 5 × 1.1 = 5.5; 4 of 5.5 are 72.7 %.
    found = drawn([*steady(NOON, 2, 4)], limit=5.0)

    assert found.span_s == 1
    assert [(bar.at, bar.rate) for bar in found.bars] == [(NOON, 4.0), (NOON + 1, 4.0)]
    assert found.bars[0].pieces[0].height == pytest.approx(100 * 4 / 5.5)
    assert found.limit_y == pytest.approx(100 - 100 * 5 / 5.5)


def test_pieces_of_a_bar_stand_on_each_other() -> None:
    found = drawn([(NOON, Fate.DONE, 3), (NOON, Fate.REFUSED, 1)])
    done, refused = found.bars[0].pieces

    assert (done.fate, refused.fate) == (Fate.DONE, Fate.REFUSED)
    assert done.y + done.height == pytest.approx(100)
    assert refused.y + refused.height == pytest.approx(done.y)
    assert found.fates == (Fate.DONE, Fate.REFUSED)
    assert (found.limit_y, found.busiest) == (None, 4)


def test_a_long_run_has_bars_of_several_seconds_and_no_request_is_lost() -> None:
    found = drawn(steady(NOON, 1000, 3))

    assert found.span_s == 15, "1000 s in 90 bars are 11.1 s; the next round span is 15 s"
    assert len(found.bars) == 67 <= BARS
    assert sum(bar.rate * found.span_s for bar in found.bars) == pytest.approx(3000)


def test_a_pause_is_shown_and_a_night_is_left_out() -> None:
    night = 14 * 3600
    found = drawn([*steady(NOON, 20), *steady(NOON + 50, 20), *steady(NOON + 70 + night, 30)])

    (gap,) = found.gaps
    assert gap.seconds == night
    assert len(found.bars) == 70 // found.span_s + 30 // found.span_s
    assert sum(bar.width for bar in found.bars) + BREAK == pytest.approx(100)
    before, after = found.bars[70 // found.span_s - 1], found.bars[70 // found.span_s]
    assert before.x + before.width < gap.x < after.x


def test_percentiles_are_times_that_were_measured() -> None:
    found = latency([0.01 * number for number in range(1, 201)])

    assert found is not None
    assert found.answers == 200
    assert found.percentiles == pytest.approx({50: 1.0, 90: 1.8, 95: 1.9, 99: 1.98, 100: 2.0})


def test_every_answer_is_in_one_class() -> None:
    found = latency([0.01, 0.011, 0.3, 0.5, 150.0])

    assert found is not None
    classes = list(found.classes)
    assert classes[:2] == [(0.0, 0.01, 1), (0.01, 0.02, 1)]
    assert (0.2, 0.5, 2) in classes
    assert classes[-1] == (100.0, None, 1)
    assert sum(count for _, _, count in classes) == 5


def test_slices_fill_the_bar() -> None:
    first, second = slices({"applied": 3, "failed": 1})

    assert (first.x, first.width, second.x, second.width) == (0, 75, 75, 25)
