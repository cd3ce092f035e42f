"""Appends to the seeded offers, of which one done twice would show, and what an error that stops a run has to say."""

from __future__ import annotations

from migrator.emulator import Emulator, seeded_offer_id, seeded_tag

HEADER = ("id", "op", "path", "value")
XCORE_HEADER = ("container", *HEADER)


def changes(count: int) -> list[tuple[str, ...]]:
    return [(seeded_offer_id(i), "add", "/tags/-", seeded_tag("dps", 1)) for i in range(count)]


def patches(server: Emulator) -> int:
    return sum(count for (method, _), count in server.counters.requests.items() if method == "PATCH")


def assert_explained(err: str, *words: str) -> None:
    """An error is a paragraph for a person: what happened, what to do, and never a traceback."""
    assert "Traceback" not in err
    assert "error: " in err or "interrupted: " in err
    for word in words:
        assert word in err, f"{word!r} is missing in:\n{err}"
