"""One HTML file that tells of a run: made of what the ledger knows, and nothing that has to be fetched.

The page may be mailed and opened anywhere. It runs its own script only, and loads nothing: its policy names both by
their hashes, so that no value in it can do either. All values are escaped, and the script writes them as text.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from migrator.core.states import FINE, State
from migrator.core.values import visible
from migrator.layers import HIDDEN
from migrator.ledger.history import at_one_moment, latencies, refusals, sent_by_second, states_by_container, told_rows
from migrator.ledger.reading import Summary, summary_of
from migrator.ledger.records import Origin
from migrator.reports.charts import latency, slices, timeline
from migrator.reports.embedding import Embedding, embed, outcome_of
from migrator.reports.errors import group, words_for
from migrator.reports.results import OUTCOMES
from migrator.settings import Settings
from migrator.sources.writing import whole_file

MOST_ROWS = 100_000
"""Rows that a page has at the most; first those that somebody has to do something about."""

MOST_ERRORS = 25
"""Errors that the table has at the most."""

MOST_CONTAINERS = 100
"""Containers that the table has at the most; first those that have the most rows which are not fine."""

WORDS = tuple(dict.fromkeys(map(outcome_of, OUTCOMES)))
"""Outcomes as the page names and orders them."""

FINE_WORDS = tuple(outcome_of(state) for state in OUTCOMES if state in FINE)
"""Those that nobody needs to do anything about."""

_environment = Environment(
    loader=PackageLoader("migrator.reports", "assets"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_page(ledger: Path, path: Path, next_step: Callable[[Summary], str], now: float, *, running: bool) -> Summary:
    """Write the report of a run to an HTML file, which takes the place of one that is there.

    Args:
        ledger: the run's ledger.
        path: the file.
        next_step: what to type after a run that stands so, "" for nothing; not asked while it is running.
        now: seconds since the epoch.
        running: whether the run is running.

    Returns:
        Where the run stood at that moment.

    Raises:
        UsageError: the file cannot be written.
        LedgerFailed: the ledger cannot be read.
    """
    with at_one_moment(ledger) as db, whole_file(path) as stream:
        summary = summary_of(db)
        next_ = "" if running else next_step(summary)
        context = _context(db, summary) | {"next": next_, "now": now, "running": running}
        _environment.get_template("report.html").stream(context).dump(stream, encoding="utf-8")
    return summary


def _context(db: sqlite3.Connection, summary: Summary) -> dict[str, Any]:
    """Ask the ledger what the template shows. Rows are asked for while they are written."""
    settings = msgspec.json.decode(summary.run.settings)
    containers = states_by_container(db)
    return {
        "run": summary.run,
        "summary": summary,
        "counts": _by_word(summary.rows),
        "sandbox": settings.get("sandbox"),
        "most_errors": MOST_ERRORS,
        "errors": group(refusals(db), words_for(summary.run)),
        "timeline": timeline(sent_by_second(db), _limit(settings)),
        "limit": _limit(settings),
        "latency": latency(latencies(db)),
        "containers": _worst(containers),
        "all_containers": len(containers),
        "settings": _shown_settings(settings),
        "origins": {origin: settings[origin] for origin in Origin if settings.get(origin)},
        "embedding": Embedding(told_rows(db, MOST_ROWS)),
        "legend": embed({"header": _header(summary), "order": WORDS, "fine": FINE_WORDS}),
        "rows_shown": min(summary.run.rows, MOST_ROWS),
        "style": _asset("report.css"),
        "script": _asset("report.js"),
        "style_hash": _hash("report.css"),
        "script_hash": _hash("report.js"),
    }


def _limit(settings: Mapping[str, Any]) -> float:
    """Return the rate that the run was to keep to; 0 if it had none, or found one out on the way."""
    rate = settings.get("rate", 0.0)
    return 0.0 if isinstance(rate, str) else float(rate)


def _by_word(states: Mapping[State, int]) -> dict[str, int]:
    """Count rows by the word for where they stand, in the order of the words; words without rows are left out."""
    counts = dict.fromkeys(WORDS, 0)
    for state, rows in states.items():
        counts[outcome_of(state)] += rows
    return {word: rows for word, rows in counts.items() if rows}


def _worst(containers: Mapping[str, Mapping[State, int]]) -> list[tuple[str, dict[str, int]]]:
    counts = [(name, _by_word(states)) for name, states in containers.items()]
    if len(counts) > MOST_CONTAINERS:
        counts.sort(key=lambda item: -sum(rows for word, rows in item[1].items() if word not in FINE_WORDS))
    return counts[:MOST_CONTAINERS]


def _shown_settings(settings: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return name, value and meaning of the settings that a run has; of known ones alone, and never a secret."""
    known = {name: field.description for name, field in Settings.model_fields.items() if name not in HIDDEN}
    named = {"profile": "What config/NAME.toml says."} | known
    return [(name, settings[name], meaning or "") for name, meaning in named.items() if settings.get(name) is not None]


def _header(summary: Summary) -> list[str]:
    """Return what the cells of a row are called; of JSONL the one line."""
    return list(msgspec.json.decode(summary.run.shape).get("header") or ["line"])


def _asset(name: str) -> Markup:
    return Markup(_text(name))  # noqa: S704 (a file of ours)


def _text(name: str) -> str:
    return files("migrator.reports").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    """Return how a content security policy names a text that stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _took(seconds: float) -> str:
    """Write a time as precisely as one wants to know it: `85 ms`, `1.2 s`, `14 min`, `3.5 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _commands(text: str) -> Markup:
    """Set off what is to be typed, which stands between backticks."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


_environment.filters |= {"moment": _moment, "took": _took, "slices": slices, "commands": _commands, "visible": visible}
