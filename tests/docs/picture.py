"""The terminal picture of the README, made anew by `make picture`: real commands, typed into a real terminal (tmux).

What differs from run to run, the id, is put in the words of the README; times and rates are as they were.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from migrator.ledger.folder import Runs
from migrator.ledger.reading import summarize

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_name("terminal.svg")

WIDTH, HEIGHT = 100, 30

APPLY = "migrator apply jobs/dps-rename.csv --profile emulator --rate 50/s --yes"
RESUME = "migrator resume"

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
SHOWN_ID = "20261122-181502-3fa9"

PATIENCE_S = 60


class Terminal:
    """A terminal that nobody sees."""

    def __init__(self, folder: Path, url: str) -> None:
        self._socket = str(folder / "tmux")
        target = f"MIGRATOR_BASE_URL={url} MIGRATOR_IMS_URL={url}"
        shell = f"env PATH={Path(sys.executable).parent}:$PATH PS1='$ ' {target} bash --norc --noprofile"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), "-c", str(folder), shell
        )

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self, *how: str) -> str:
        return self._tmux("capture-pane", "-p", *how)

    @property
    def asks(self) -> bool:
        """Whether the shell waits for a command."""
        return self.screen().rstrip().splitlines()[-1:] == ["$"]

    def wait(self, condition: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError(self.screen())
            time.sleep(0.1)

    def close(self) -> None:
        self._tmux("kill-server")


@contextmanager
def emulator() -> Iterator[str]:
    """Run an emulator in a process of its own, and yield its URL."""
    command = [sys.executable, "-m", "migrator", "emulator", "--seed-offers", "1000", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
        finally:
            process.terminate()
            process.communicate()


def played(folder: Path) -> str:
    """Apply, press Ctrl-C half-way, resume; return what is on the screen then, with its colours."""
    for name in ("jobs", "config"):
        shutil.copytree(ROOT / name, folder / name)
    runs = Runs(folder / "runs")
    with emulator() as url, closing(Terminal(folder, url)) as terminal:
        terminal.wait(lambda: terminal.asks)
        terminal.type(APPLY, "Enter")
        terminal.wait(lambda: bool(runs.all()) and summarize(runs.all()[-1].ledger).attempts > 130)
        terminal.type("C-c")
        terminal.wait(lambda: "then go on with" in terminal.screen() and terminal.asks)
        terminal.type(RESUME, "Enter")
        terminal.wait(lambda: "300 applied (of 300 rows)" in terminal.screen() and terminal.asks)
        return terminal.screen("-e")


def drawn(screen: str) -> str:
    """Draw a screen as SVG, with the fonts of whoever looks at it."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    lines = [line for line in Text.from_ansi(RUN_ID.sub(SHOWN_ID, screen)).split("\n") if line.plain.strip()]
    console.print(*lines[:-1], sep="\n", soft_wrap=True)  # the last one is the prompt
    svg = console.export_svg(title="migrator")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory(prefix="migrator-picture-") as folder:
        PICTURE.write_text(drawn(played(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main()
