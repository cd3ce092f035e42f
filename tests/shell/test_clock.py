"""The real clock and dice."""

from __future__ import annotations

import uuid

from migrator.clock import SystemClock


def test_request_ids_are_random_uuids_and_never_the_same() -> None:
    clock = SystemClock()
    ids = [clock.request_id() for _ in range(2000)]

    assert len(set(ids)) == 2000
    for text in ids:
        found = uuid.UUID(text)
        assert (str(found), found.version, found.variant) == (text, 4, uuid.RFC_4122)
