"""How cost grows with the rows of an input: measures it, and draws it for the README.

`python -m tests.bench.growth` writes `growth.svg` beside this file. It needs the extra `bench`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.memory import Run, ordered

ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)

PICTURE = Path(__file__).with_name("growth.svg")


def draw(found: Mapping[int, Run]) -> Figure:
    """Draw what runs of several sizes took."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    time, memory = figure.subplots(1, 2)
    rows, runs = list(found), list(found.values())
    _plot(time, rows, [run.planned_s for run in runs], "checked and planned")
    _plot(time, rows, [run.sent_s for run in runs], "sent, answered at once")
    time.set(yscale="log", ylabel="seconds of CPU", title="time: linear")
    _plot(memory, rows, [run.planned_mib for run in runs], "checked and planned")
    _plot(memory, rows, [run.sent_mib for run in runs], "and sent")
    memory.axhline(runs[0].imports_mib, color="grey", linestyle=":", label="imports")
    memory.set(ylim=(0, 1.3 * max(run.sent_mib for run in runs)), ylabel="MiB", title="peak memory: constant")
    for axes in (time, memory):
        axes.set(xscale="log", xlabel="rows")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def _plot(axes: Axes, rows: Sequence[int], values: Sequence[float], name: str) -> None:
    axes.plot(rows, values, marker="o", markersize=4, label=name)


def main() -> None:
    """Measure and draw."""
    # Text stays text, which is small, and nothing in the file depends on the day it was made on.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        found = {rows: ordered(Path(folder), rows) for rows in ROWS}
    draw(found).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
