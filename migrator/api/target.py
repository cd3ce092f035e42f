"""Where a run goes: what its settings say of that, and that no rest of a run goes anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from migrator.core.errors import UsageError
from migrator.core.styles import STYLES
from migrator.layers import SECRETS
from migrator.ledger.folder import RunFolder
from migrator.ledger.reading import read_run
from migrator.ledger.records import Origin
from migrator.planning.draft import Target
from migrator.settings import Settings, load, require_target
from migrator.sources.octets import open_octets

TARGET = ("style", "base_url", "org_id", "sandbox", "marker")
"""The settings that shape every request: a resume must have them as they were."""


def target_of(settings: Settings) -> Target:
    """Return where a run with `settings` goes."""
    return Target(
        STYLES[settings.style],
        settings.base_url,
        settings.org_id,
        settings.sandbox,
        settings.marker,
        settings.create_missing,
    )


def resumed(run: RunFolder, flags: Mapping[str, Any], profile: str | None = None) -> Settings:
    """Return the settings to go on with: those of the run, under what flags and the environment say now.

    Secrets are not among those of the run. They come from the environment, or from where the profile says: the run's
    own profile if no other is named.

    Raises:
        UsageError: they would send the rest of the run somewhere else.
    """
    hint = "unset MIGRATOR_{NAME}, or begin a new run with `migrator apply`"
    return as_planned(read_run(run.ledger).settings, f"run {run.id}", flags, profile, hint)


def as_planned(planned: str, name: str, flags: Mapping[str, Any], profile: str | None, hint: str) -> Settings:
    """Return the settings that a run was planned with, under what flags and the environment say now.

    Args:
        planned: as `RunRecord.settings` has them.
        name: what to call the run, or the plan, in messages.
        flags: those of this invocation.
        profile: that of this invocation, if any.
        hint: what to do if they go somewhere else; {NAME} stands for the setting.

    Raises:
        UsageError: they go somewhere else.
    """
    stored, began_with = _stored(planned)
    settings = load(flags, profile=profile or began_with, job=stored, job_name=name)
    for setting in TARGET:
        before, now = stored.get(setting, ""), getattr(settings, setting)  # a marker is newer than some ledgers
        if before != now:
            message = f"{name} goes to {setting} {before!r}, and the settings now say {now!r}"
            raise UsageError(message, hint.replace("{NAME}", setting.upper()))
    require_target(settings)
    return settings


def as_begun(planned: str, name: str) -> Settings:
    """Return the settings that a run was planned with, whatever the environment says; only the secrets are from there.

    Args:
        planned: as `RunRecord.settings` has them.
        name: what to call the run in messages.

    Raises:
        UsageError: there are no secrets.
    """
    stored, profile = _stored(planned)
    # Where secrets are is not the same on every host.
    own = {setting: value for setting, value in stored.items() if not setting.startswith(SECRETS)}
    settings = load(own, profile=profile, job=stored, job_name=name)
    require_target(settings)
    return settings


def _stored(planned: str) -> tuple[dict[str, Any], str | None]:
    """Take apart what a run was planned with: its settings, and the profile."""
    stored = msgspec.json.decode(planned)
    for origin in Origin:
        stored.pop(origin, None)
    return stored, stored.pop("profile", None)


def check_same_input(run: RunFolder, path: Path) -> None:
    """Refuse a file that is not the one `run` was planned from.

    Raises:
        UsageError: it is another.
    """
    planned = read_run(run.ledger)
    with ExitStack() as stack:
        octets = open_octets(path, stack)
        octets.drain()
    if octets.sha256 != planned.input_sha256:
        message = f"{path} is not the input of run {run.id}, which was planned from {planned.input}"
        hint = (
            f"`migrator resume {run.id}` alone goes on with what was planned; `migrator apply {path}` begins a new run"
        )
        raise UsageError(message, hint)
