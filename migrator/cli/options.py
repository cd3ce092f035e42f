"""Options that several commands share, and how they become settings and what else they stand for."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from migrator import api, logs
from migrator.cli import eventloop
from migrator.cli.output import is_terminal
from migrator.core.errors import UsageError
from migrator.core.mapping import ALLOWABLE
from migrator.layers import profiles
from migrator.ledger.folder import RunFolder, Runs
from migrator.ports import Choice
from migrator.settings import Settings, duration_s, load

F = TypeVar("F", bound=Callable[..., Any])


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _complete_profile(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return [name for name in profiles() if name.startswith(begun)]


profile_option = click.option(
    "--profile",
    metavar="NAME|FILE",
    envvar="MIGRATOR_PROFILE",
    shell_complete=_complete_profile,
    help="Settings from config/NAME.toml, or from FILE: .toml, or .json of aepp.",
)
ledger_option = click.option(
    "--ledger", metavar="FOLDER|URL", help="Folder of runs, or database of a fleet [default: runs]."
)
output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What stdout carries."
)
style_option = click.option("--style", type=click.Choice(["dps", "xcore"]), help="Endpoint style [default: dps].")
sandbox_option = click.option("--sandbox", metavar="NAME", help="Sandbox that every request names.")

input_options = _all(
    click.option(
        "--format", "input_format", type=click.Choice(["csv", "jsonl"]), help="Input format [default: found out]."
    ),
    click.option("--delimiter", metavar="CHAR", help="CSV delimiter [default: found out among , ; tab |]."),
    click.option("--encoding", default="utf-8-sig", show_default=True, help="Encoding of the input."),
    click.option(
        "--snapshot",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Of an export that was edited: what it was [default: FILE.snapshot beside it].",
    ),
    click.option(
        "--accept-reformatted",
        is_flag=True,
        help="Of an export that was edited: take cells that a spreadsheet has changed as they were meant.",
    ),
)

reading_options = _all(
    click.option(
        "--rate",
        metavar="N[/s|/m]|auto[:N]",
        help="Requests a second, 0 for no limit; auto finds out what the service takes, up to N [default: auto].",
    ),
    click.option("--container-rate", metavar="N[/s|/m]", help="The same for each container [default: no limit]."),
    click.option(
        "--strict-rate/--no-strict-rate",
        default=None,
        help="Count requests until they are answered: keeps the limits at the service, too [default: until sent].",
    ),
    click.option("--concurrency", "-j", type=int, metavar="N", help="Requests in flight [default: 4]."),
    click.option("--timeout", metavar="TIME", help="For one request, e.g. 75s [default: 75s]."),
    click.option("--max-attempts", type=int, metavar="N", help="Requests for one object [default: 5]."),
    click.option("--retry-budget", metavar="TIME", help="From an object's first attempt to its last [default: 15m]."),
)

sending_options = _all(
    reading_options,
    click.option("--write-rate", metavar="N[/s|/m]", help="Writes a second [default: no limit of their own]."),
    click.option(
        "--container-concurrency",
        type=int,
        metavar="N",
        help="Requests in flight for each container [default: no limit].",
    ),
    click.option(
        "--guard/--no-guard", default=None, help="Read each object first, and guard its patch [default: --guard]."
    ),
    click.option("--max-failures", metavar="N|N%", help="Stop when more rows than this fail [default: no limit]."),
    click.option(
        "--equal-failures",
        type=int,
        metavar="N",
        help="Stop when so many in a row fail alike, 0 for never [default: 50].",
    ),
    click.option("--max-duration", metavar="TIME", help="Stop after this time, e.g. 2h [default: no limit]."),
    click.option(
        "--confirm-sandbox",
        "confirm_sandbox_name",
        metavar="NAME",
        help="Name the sandbox, which a profile with `production = true` asks for.",
    ),
)

choice_options = _all(
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N objects."),
    click.option(
        "--sample", type=click.IntRange(1), metavar="N", help="Only N objects, drawn at random, the same each time."
    ),
    click.option("--ids", metavar="FILE", help="Only the objects whose ids are in FILE, one a line."),
)

allow_lossy_option = click.option(
    "--allow-lossy",
    type=click.Choice([loss.value for loss in ALLOWABLE]),
    multiple=True,
    metavar="CLASS",
    help="Accept severe losses of a class; may be repeated. `migrator translate --show-map` lists them.",
)

max_changes_option = click.option(
    "--max-changes",
    metavar="N|N%",
    help="Refuse to change more objects than this, or than this share of a type [default: no limit].",
)

planning_options = _all(
    click.option(
        "--marker",
        metavar="POINTER",
        help="Member to mark each created object in, e.g. /characteristics/migrator [default: none].",
    ),
    click.option(
        "--create-missing/--no-create-missing",
        default=None,
        help="Add a text that an offer does not have [default: refuse the row].",
    ),
)

doubt_options = _all(
    click.option(
        "--on-doubt",
        type=click.Choice(["hold", "assume-applied", "resend", "ask"]),
        help="What to do with a row whose fate looking cannot tell [default: hold].",
    ),
    click.option(
        "--quiet-period", metavar="TIME", help="How long a request without an answer may still work [default: 60s]."
    ),
)

_FILE = click.Path(dir_okay=False, path_type=Path)

viewing_options = _all(
    click.option("--progress/--no-progress", default=None, help="Live view [default: on a terminal]."),
    click.option(
        "--stats", metavar="TIME", default="5s", show_default=True, help="Without a live view, a line this often."
    ),
    click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of stderr."
    ),
    click.option("-v", "--verbose", count=True, help="More events on stderr; -vv for every request."),
    click.option(
        "--log-file", metavar="FILE", type=_FILE, help="Every event, and how each write ended, as JSON lines; appended."
    ),
)

metrics_option = click.option(
    "--metrics-file", metavar="FILE", type=_FILE, help="Numbers for Prometheus, anew at each interval of --stats."
)

running_options = _all(
    ledger_option, profile_option, sending_options, doubt_options, output_option, viewing_options, metrics_option
)
"""What every command takes that goes on with a run, or makes one of something else than a file."""

SETTINGS = (
    "style",
    "sandbox",
    "ledger",
    "rate",
    "write_rate",
    "container_rate",
    "strict_rate",
    "concurrency",
    "container_concurrency",
    "timeout",
    "max_attempts",
    "retry_budget",
    "guard",
    "max_failures",
    "equal_failures",
    "max_duration",
    "on_doubt",
    "quiet_period",
    "marker",
    "create_missing",
    "max_changes",
)


def flags_of(values: dict[str, Any]) -> dict[str, Any]:
    """Take out of a command's parameters the settings that were given."""
    return {name: values[name] for name in SETTINGS if values.get(name) is not None}


def settings_of(values: dict[str, Any]) -> Settings:
    """Return the settings that a command's parameters give."""
    return load(flags_of(values), profile=values.get("profile"))


def find_run(values: dict[str, Any], name: str | None) -> RunFolder:
    """Return the run called `name`, or the newest one for `None`; one of a fleet as a copy, until the command ends.

    Raises:
        UsageError: there is none.
    """
    settings = settings_of(values)
    return Runs(settings.runs).find(name) if settings.fleet is None else mirrored(name, settings)


def mirrored(name: str | None, settings: Settings) -> RunFolder:
    """Copy a run of a fleet out of its database."""
    need_fleet()
    from migrator.api import fleet  # noqa: PLC0415 (it needs an extra)

    folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="migrator-"))
    return eventloop.run(fleet.mirror(name, settings, Path(folder)))


OF_FLEET = ("asyncpg", "dbos")
"""What the extra `fleet` brings."""


def need_fleet() -> None:
    """Refuse to go on without the extra `fleet`.

    Raises:
        UsageError: it is not installed.
    """
    if missing := [name for name in OF_FLEET if find_spec(name) is None]:
        hint = "pip install 'offer-migrator[fleet]'"
        raise UsageError(f"a fleet needs {' and '.join(missing)}, which this installation has not", hint)


def run_of(values: dict[str, Any], name: str | None) -> tuple[RunFolder, Settings]:
    """Return the run called `name`, or the newest one for `None`, and the settings to go on with.

    Raises:
        UsageError: there is none, or the settings would send the rest of it somewhere else.
    """
    found = find_run(values, name)
    return found, api.resumed(found, flags_of(values), values.get("profile"))


def choice_of(values: dict[str, Any]) -> Choice | None:
    """Read the options that choose objects, or return `None` if none is given.

    Raises:
        UsageError: they exclude each other, or the file cannot be read.
    """
    limit, sample, ids = values["limit"], values["sample"], values["ids"]
    if limit and sample:
        raise UsageError("--limit and --sample exclude each other", "give one of them")
    if not (limit or sample or ids):
        return None
    return Choice(limit or sample, bool(sample), _read_ids(Path(ids)) if ids else None)


def _read_ids(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the ids in {path} cannot be read: {error}") from error
    if ids := frozenset(filter(None, map(str.strip, lines))):
        return ids
    raise UsageError(f"there is no id in {path}", "write one id a line")


class Viewing(Struct, frozen=True):
    """How a run is shown.

    Attributes:
        live: a live view; otherwise a line now and then.
        every_s: how often that line comes, in seconds, and how often the metrics are written.
        metrics: where those are written, if at all.
    """

    live: bool
    every_s: float
    metrics: Path | None = None


def viewing_of(values: dict[str, Any]) -> Viewing:
    """Read the viewing options of a command, and set up events as they say.

    On a terminal events are quiet, for the live view tells what matters; elsewhere every event of a run is written.

    Raises:
        UsageError: `--stats` is no time, or the log file cannot be written.
    """
    every_s = duration_s(values["stats"])
    if not isinstance(every_s, float) or every_s <= 0:
        raise UsageError(f"--stats {values['stats']} is not a time", "write 5s, 1m or the like")
    interactive = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    logs.configure(
        json=values["log_format"] == "json",
        verbosity=values["verbose"] + (0 if interactive else 1),
        colors=interactive and not _no_color(),
        file=values["log_file"],
    )
    live = interactive and is_terminal() if values["progress"] is None else values["progress"]
    return Viewing(live, every_s, values.get("metrics_file"))


def _no_color() -> bool:
    return bool(os.environ.get("NO_COLOR"))
