"""Where the time of a run goes: flame graphs of the sending at full speed, by either client.

`python -m tests.bench.profile` makes them with py-spy in a folder of its own, which it names. What is planned before is
not in them, but what is imported is. A browser searches them (Ctrl-F) and zooms in on what is clicked.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.bench import machine
from tests.bench.rounds import Bench, Scenario, target
from tests.bench.workload import Workload

SCENARIOS = (
    Scenario("aiohttp", "pipeline", Workload("dps", 30_000, 1, 32)),
    Scenario("lean", "pipeline", Workload("dps", 60_000, 1, 32), client="lean"),
)

SAMPLES_PER_S = 250


@click.command(help=__doc__)
def main() -> None:
    """Make a flame graph of every scenario."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise click.ClickException("py-spy is not installed: pip install 'offer-migrator[dev]'")
    client_cpu, target_cpu = machine.cores()
    graphs = Path(tempfile.mkdtemp(prefix="migrator-profile-"))
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder, target(target_cpu) as port:
        bench = Bench(Path(folder), port, client_cpu)
        for scenario in SCENARIOS:
            graph = graphs / f"{scenario.name}.svg"
            # It does not stop the process to look at it, which would cost most of the speed that is to be looked at.
            options = ["--rate", str(SAMPLES_PER_S), "--nonblocking", "--threads", "--output", str(graph)]
            run = bench.run(scenario, under=[spy, "record", *options, "--"], apart=True)
            click.echo(f"{graph}  {run.requests_per_s:,.0f} requests/s while it was watched")


if __name__ == "__main__":
    main()
