"""How a rate is found out: up by what is answered, down by what is refused."""

from __future__ import annotations

import pytest

from migrator.core.model import Answer, Failure, FailureKind, Response
from migrator.core.pacing import CLIMB_S, PROBE_S, Pace, Range, after_refusal, after_span, begin, is_refusal

WIDE = Range(ceiling=1000, start=5, floor=1)


@pytest.mark.parametrize(
    ("pace", "within", "seconds", "speed", "rate"),
    [
        # Before the first refusal: half as much again in a second.
        (Pace(10), WIDE, 1.0, 10.0, 15.0),
        (Pace(10), WIDE, 2.0, 10.0, 22.5),
        (Pace(16), WIDE, 0.5, 16.0, 19.596),  # 16 × √1.5
        # In full use from seven tenths on.
        (Pace(10), WIDE, 1.0, 7.0, 15.0),
        (Pace(10), WIDE, 1.0, 6.9, 10.0),
        (Pace(10), WIDE, 9.0, 0.0, 10.0),
        # Never above the ceiling.
        (Pace(10), Range(ceiling=12), 1.0, 10.0, 12.0),
        (Pace(85, 100, 40), Range(ceiling=90), 5.0, 85.0, 90.0),
        # After a refusal at 100: up from 85 in 30 s, and as far beyond in 10 s more.
        (Pace(85, 100), WIDE, 15.0, 85.0, 98.125),  # 100 × (1 − 0.15 × (1/2)³)
        (Pace(98, 100, 15.0), WIDE, 15.0, 98.0, 100.0),
        (Pace(100, 100, 30.0), WIDE, 5.0, 100.0, 101.875),  # 100 × (1 + 0.15 × (1/2)³)
        (Pace(101, 100, 35.0), WIDE, 5.0, 101.0, 115.0),
        (Pace(85, 100), WIDE, 15.0, 50.0, 85.0),
    ],
)
def test_a_rate_grows_by_what_is_answered_at_it(
    pace: Pace, within: Range, seconds: float, speed: float, rate: float
) -> None:
    assert after_span(pace, within, seconds, speed).rate == pytest.approx(rate, abs=1e-3)


def test_time_without_full_use_does_not_count() -> None:
    pace = Pace(85.0, 100.0)

    assert after_span(pace, WIDE, 60.0, 10.0) == pace


@pytest.mark.parametrize(
    ("pace", "within", "speed", "rate", "refused"),
    [
        (Pace(100), WIDE, None, 85.0, 100.0),
        (Pace(100), WIDE, 80.0, 68.0, 80.0),  # it was not used to the full
        (Pace(100), WIDE, 130.0, 85.0, 100.0),  # answers that came late
        (Pace(85, 100), WIDE, None, 72.25, 85.0),  # refused below: the limit is lower now
        (Pace(1.1), WIDE, None, 1.0, 1.1),
        (Pace(1.0), WIDE, 0.0, 1.0, 1.0),
        (Pace(0.5), Range(ceiling=0.5), None, 0.5, 0.5),  # a ceiling below the floor wins
    ],
)
def test_a_refusal_takes_the_rate_down_and_is_remembered(
    pace: Pace, within: Range, speed: float | None, rate: float, refused: float
) -> None:
    cut = after_refusal(pace, within, speed)

    assert cut.rate == pytest.approx(rate)
    assert cut.refused == pytest.approx(refused)
    assert cut.climbed_s == 0


def test_it_begins_low_and_within_its_bounds() -> None:
    assert begin(WIDE) == Pace(5.0)
    assert begin(Range(ceiling=2.0)) == Pace(2.0)


@pytest.mark.parametrize("span_s", [0.5, 1.0, 5.0])
def test_the_climb_is_the_same_however_often_it_is_looked_at(span_s: float) -> None:
    pace = after_refusal(Pace(100.0), WIDE, None)
    rates = []
    for _ in range(round((CLIMB_S + PROBE_S) / span_s)):
        pace = after_span(pace, WIDE, span_s, pace.rate)
        rates.append(pace.rate)

    assert rates == sorted(rates)
    assert rates[round(CLIMB_S / span_s) - 1] == pytest.approx(100.0)
    assert rates[-1] == pytest.approx(115.0)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Response(429, {}, b""), True),
        (Response(503, {}, b""), True),
        (Response(200, {}, b""), False),
        (Response(500, {}, b""), False),
        (Failure(FailureKind.NOT_SENT, "connection refused"), False),
        (Failure(FailureKind.LOST, "no answer"), False),
    ],
)
def test_what_says_that_requests_come_too_fast(answer: Answer, refused: bool) -> None:
    assert is_refusal(answer) is refused
