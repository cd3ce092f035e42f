"""The layers that settings are read from, and which layer each value came from.

What belongs here: how a profile is found and read, what a file may not hold, and who wins. What must never: what a
setting may be; `settings` knows that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import Struct

from migrator.aepp import read_aepp
from migrator.core.errors import UsageError

PROFILES = Path("config")
"""Where profiles are looked for, relative to the working directory."""

SECRETS = ("client_secret", "access_token")
"""Settings that no profile, job file, flag, ledger or message may hold."""

HIDDEN = frozenset({*SECRETS, *(f"{name}_command" for name in SECRETS)})
"""Settings whose value is shown and kept nowhere: a command may hold a secret as well."""

PREFIX = "MIGRATOR_"
"""What our variables of the environment begin with."""

DEFAULT = "default"
"""The origin of a value that nobody has given."""


def sources_of(secret: str) -> tuple[str, str, str]:
    """Return the settings that a secret may come from."""
    return secret, f"{secret}_file", f"{secret}_command"


class Layer(Struct, frozen=True):
    """Settings from one place.

    Attributes:
        origin: the place, in words that may name the setting: as its `{variable}`, its `{flag}`.
        values: by the names of the settings.
        wrong: what it holds and may not, in a sentence each.
    """

    origin: str
    values: Mapping[str, Any]
    wrong: tuple[str, ...] = ()

    def origin_of(self, name: str) -> str:
        """Name the place that the setting `name` has from here."""
        return self.origin.replace("{variable}", variable(name)).replace("{flag}", f"--{name.replace('_', '-')}")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def without_secrets(origin: str, values: Mapping[str, Any]) -> Layer:
    """Make a layer of a file in which secrets have no place: those are left out, and said to be wrong."""
    held = [name for name in SECRETS if name in values]
    wrong = tuple(
        f"{origin} holds {name}, a secret: put it into {variable(name)}, or name a {name}_file" for name in held
    )
    return Layer(origin, {name: value for name, value in values.items() if name not in held}, wrong)


def read_profile(name: str) -> Layer:
    """Read a profile: `config/NAME.toml`, the path of such a file, or the path of a configuration file of aepp.

    Raises:
        UsageError: it is missing or broken.
    """
    if name.endswith(".json"):
        return Layer(f"aepp file {name}", read_aepp(Path(name)))
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    if not path.exists():
        raise UsageError(f"there is no profile {path}", _other_profiles(path))
    return without_secrets(f"profile {path}", read_toml(path, "profile"))


def profiles() -> list[str]:
    """Return the names of the profiles in `config/`."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def _other_profiles(path: Path) -> str:
    """Name the profiles there are beside one that is not."""
    there = sorted(other.stem for other in path.parent.glob("*.toml"))
    near = get_close_matches(path.stem, there, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    none = f"there is none in {path.parent}, and `migrator demo --copy .` brings some"
    listed = f"there are {', '.join(there)}" if there else none
    return f"{meant}{listed}; a path that ends in .toml, or in .json for one of aepp, is read from there"


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UsageError: it is missing or broken.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no {what} {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the {what} {path} cannot be read: {error}") from error


def merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay the layers on top of each other, the strongest last. A secret has one source: the strongest that is given.

    Returns:
        The values, and where each is from.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for name in SECRETS:
            sources = sources_of(name)
            if any(layer.values.get(source) for source in sources):
                merged = {key: value for key, value in merged.items() if key not in sources}
        merged |= layer.values
        origins |= {name: layer.origin_of(name) for name in layer.values}
    return merged, {name: origin for name, origin in origins.items() if name in merged}
