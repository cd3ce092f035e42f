"""Token buckets and the highest number of requests in a second."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.emulator import EmulatorSettings
from migrator.emulator.limits import Buckets, take_all
from migrator.emulator.observation import Peaks


def test_a_bucket_holds_a_burst_and_fills_at_its_rate() -> None:
    buckets = Buckets(rate=10, burst=3)
    took = [take_all([(buckets, "key")], 1_000_000) for _ in range(4)]
    assert took == [0, 0, 0, 100_000]
    assert take_all([(buckets, "key")], 1_099_999) == 1
    assert take_all([(buckets, "key")], 1_100_000) == 0
    assert take_all([(buckets, "key")], 1_100_000) == 100_000


def test_keys_have_buckets_of_their_own() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert take_all([(buckets, "a")], 0) == 0
    assert take_all([(buckets, "b")], 0) == 0


def test_a_refusal_by_one_bucket_takes_nothing_from_the_other() -> None:
    wide, narrow = Buckets(rate=1, burst=2), Buckets(rate=1, burst=1)
    assert take_all([(wide, "k"), (narrow, "c")], 0) == 0
    assert take_all([(wide, "k"), (narrow, "c")], 0) == 1_000_000
    assert wide.wait_us("k", 0) == 0


def test_rate_zero_is_no_limit() -> None:
    buckets = Buckets(rate=0, burst=1)
    assert [take_all([(buckets, "key")], 0) for _ in range(100)] == [0] * 100


def test_the_peak_is_counted_in_any_window_of_one_second() -> None:
    peaks = Peaks()
    for moment_us in (0, 900_000, 950_000, 1_000_000, 3_000_000):
        peaks.arrived("key", moment_us)
    # the request at 0 is a full second before the one at 1,000,000: no window holds all four
    assert peaks.highest == {"key": 3}


@pytest.mark.parametrize(
    "settings", [{"containers": 0}, {"burst": 0}, {"sandboxes": ()}, {"rate": -1}, {"latency_s": -0.1}]
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"emulator needs|cannot be negative"):
        EmulatorSettings(**settings)
