"""Arithmetic of a rate limit: what a series of instants says about it. All instants are nanoseconds, ascending."""

from __future__ import annotations

from collections.abc import Sequence

SECOND_NS = 1_000_000_000


def share(instants: Sequence[int], limit: float) -> float:
    """Return which share of `limit` requests a second was used from the first instant to the last."""
    return (len(instants) - 1) / (limit * (instants[-1] - instants[0]) / SECOND_NS)


def used(instants: Sequence[int], limit: float) -> float:
    """Return which share of `limit` requests a second was used from one second after the first instant on."""
    return share([instant for instant in instants if instant >= instants[0] + SECOND_NS], limit)


def worst(instants: Sequence[int], length_ns: int) -> int:
    """Return the most instants in any half-open window of `length_ns`."""
    return max(_counts(instants, length_ns))


def over(instants: Sequence[int], limit: int) -> int:
    """Return how many instants begin a half-open window of one second that holds more than `limit` of them."""
    return sum(count > limit for count in _counts(instants, SECOND_NS))


def _counts(instants: Sequence[int], length_ns: int) -> list[int]:
    """Count, for each instant, those in the window that begins with it."""
    counts = []
    end = 0
    for begin, instant in enumerate(instants):
        while end < len(instants) and instants[end] < instant + length_ns:
            end += 1
        counts.append(end - begin)
    return counts
