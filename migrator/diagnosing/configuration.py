"""The settings: which files and variables there are, and which value came from where."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from migrator.diagnosing.finding import Finding, ok, warn
from migrator.layers import DEFAULT, HIDDEN, PREFIX, PROFILES, SECRETS, profiles, sources_of, variable
from migrator.settings import Settings, no_such_setting

OTHER_VARIABLES = frozenset({"MIGRATOR_PROFILE", "MIGRATOR_DEBUG"})
"""Variables of the environment that are no settings."""


def profile(name: str | None) -> Finding:
    """Say which profile is used, and which there are."""
    there = ", ".join(profiles()) or "none"
    if name is None:
        return ok("profile", f"none is used; in {PROFILES.absolute()}: {there}")
    return ok("profile", f"{name} is used; in {PROFILES.absolute()}: {there}")


def environment(variables: Mapping[str, str]) -> Finding:
    """Say which of our variables are set, and which of them nobody reads."""
    given = sorted(name for name in variables if name.startswith(PREFIX))
    known = {variable(name) for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = [name for name in given if name not in known]
    if unknown:
        said = "; ".join(f"{name}: {no_such_setting(name.removeprefix(PREFIX).lower())}" for name in unknown)
        return warn("environment", said, "correct or unset what nobody reads")
    return ok("environment", ", ".join(given) or f"no variable begins with {PREFIX}")


def settings(found: Settings) -> Finding:
    """Say which values are not defaults, and where each is from."""
    given = [name for name in type(found).model_fields if found.origin(name) != DEFAULT]
    details = {name: f"{shown(found, name)}  ({found.origin(name)})" for name in given}
    return ok("settings", f"{found.style} at {found.base_url}", **details)


def shown(found: Settings, name: str) -> str:
    """Return the value of a setting as it may be shown."""
    if name in HIDDEN:
        return "set" if getattr(found, name) else "not set"
    value = found.public()[name]
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def secret(found: Settings, profile_name: str | None) -> Finding:
    """Say where the secret is from, and whether others can read it there. That it can be had is known by now."""
    name = next(source for secret in reversed(SECRETS) for source in sources_of(secret) if getattr(found, source))
    file = getattr(found, name) if name.endswith("_file") else None
    if file is None and profile_name is not None and profile_name.endswith(".json"):
        file = Path(profile_name)
    if file is not None and stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return warn("secret", f"{file} holds a secret, and others on this machine may read it", f"chmod 600 {file}")
    return ok("secret", f"{name} from {found.origin(name)}")
