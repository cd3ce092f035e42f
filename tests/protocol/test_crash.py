from __future__ import annotations

from pathlib import Path

from tests.protocol.trial import *


def test_smoke(tmp_path: Path) -> None:
    import time

    plans = Plans(tmp_path)
    for name, door in DOORS.items():
        for seed in range(5):
            t = time.perf_counter()
            with World(plans, door, seed) as world:
                p = world.start()
                world.await_(p)
                print(
                    name, seed, p.turns, p.failure, world.loop.time(), len(world.service.writes), world.service.requests
                )
                world.finish()
                print(dict(world.wrong), world._rows(STATES.replace("s.body,", "")), time.perf_counter() - t)
