"""Every setting, where it may come from, and what it may be.

Order, the first one wins: flag, environment `MIGRATOR_…`, job file, profile `config/NAME.toml`, default (`layers`).
Secrets come from the environment, a file, or a command that prints them; never from a flag, a profile or a job file.
"""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from migrator.core.errors import UsageError
from migrator.core.limits import Limits, share_of
from migrator.core.pacing import Range
from migrator.core.reconcile import Bounds
from migrator.core.verdict import Policy
from migrator.layers import (
    DEFAULT,
    HIDDEN,
    PREFIX,
    SECRETS,
    Layer,
    merge,
    read_profile,
    sources_of,
    variable,
    without_secrets,
)

DEFAULT_SCOPES = "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"

GOOD_S = 10.0
"""How long after its intent a request may leave at the most: what a crash leaves behind is looked at the sooner."""

UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_AUTO = re.compile(r"auto(?::(.+))?")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*(s|m|h))?")


def duration_s(text: object) -> object:
    """Read `90`, `90s`, `15m`, `1h` or `250ms` as seconds; other values are left to the type check."""
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    return float(found[1]) * UNITS_S[found[2] or ""] if found else text


def rate_per_s(text: object) -> object:
    """Read `5`, `5/s`, `300/m` as requests a second; other values are left to the type check."""
    found = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    return float(found[1]) / UNITS_S[found[2] or ""] if found else text


def rate_or_auto(value: object) -> float | str:
    """Read a rate, or `auto` or `auto:50`: that it is to be found out, up to a ceiling.

    Raises:
        ValueError: it is none of these.
    """
    found = _AUTO.fullmatch(value.strip()) if isinstance(value, str) else None
    rate = rate_per_s((found[1] or "1") if found else value)
    # A ceiling of 0 would let nothing through; a rate of 0 is no limit. True is a number to Python.
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < math.inf or (found and not rate):
        raise ValueError("must be requests a second, such as 5 or '300/m', 0 for no limit, 'auto' or 'auto:50'")
    return found[0] if found else float(rate)


def _is_url(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError("must begin with https:// (or http:// for an emulator) and name a host")
    parts = urlsplit(text)
    if parts.username is not None:
        raise ValueError("must not hold credentials")
    _ = parts.port  # complains by itself about a port that is none
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a host, and a port and a path if need be")
    return text.rstrip("/")


def _ledger(value: object) -> object:
    """Keep the URL of a database as it is, and take everything else for a folder."""
    if not (isinstance(value, str) and value.startswith(("postgresql://", "postgres://"))):
        return value if not isinstance(value, str) else Path(value)
    parts = urlsplit(value)
    if parts.password is not None:
        raise ValueError("must not hold a password: put that into PGPASSWORD or ~/.pgpass")
    if not parts.path.strip("/"):
        raise ValueError("must name a database: postgresql://[user@]host[:port]/database")
    return value


Seconds = Annotated[float, BeforeValidator(duration_s), Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, BeforeValidator(rate_per_s), Field(ge=0, allow_inf_nan=False)]
RateOrAuto = Annotated[float | str, PlainValidator(rate_or_auto)]
Url = Annotated[str, AfterValidator(_is_url)]
Word = Annotated[str, Field(pattern=r"^\S*$")]


class Settings(BaseSettings):
    """The settings of one invocation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    style: Literal["dps", "xcore"] = Field(default="dps", description="Endpoint style: dps or xcore.")
    base_url: Url = Field(
        default="https://platform.adobe.io",
        description="Scheme, host and port of the service; the styles add /data/core/…",
    )
    ims_url: Url = Field(
        default="https://ims-na1.adobelogin.com", description="Scheme, host and port of the identity service."
    )
    org_id: Word = Field(default="", description="Organisation, …@AdobeOrg.")
    sandbox: Word = Field(
        default="",
        description="Sandbox that every request names; there is no default, so that production is never one.",
    )
    client_id: Word = Field(default="", description="Client id of the API project, which is also the api key.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="only from the environment")
    client_secret_file: Path | None = Field(default=None, description="File that holds the client secret.")
    client_secret_command: str = Field(default="", description="Command that prints the client secret.")
    access_token: SecretStr = Field(default=SecretStr(""), description="only from the environment")
    access_token_file: Path | None = Field(
        default=None, description="File that holds a ready access token, instead of client credentials."
    )
    access_token_command: str = Field(
        default="", description="Command that prints a ready access token, instead of client credentials."
    )
    scopes: Word = Field(
        default=DEFAULT_SCOPES, description="Scopes asked of the identity service, separated by commas."
    )
    ledger: Annotated[Path | str, BeforeValidator(_ledger)] = Field(
        default=Path("runs"),
        description="Folder of runs, on a local disk; or postgresql://[user@]host/database, that of a fleet.",
    )
    shard_steps: int = Field(default=1_000, ge=1, description="Of a run of a fleet: requests in a shard, about.")
    rate: RateOrAuto = Field(
        default="auto",
        description="Requests a second, all together, or '300/m'; 'auto' finds out what is taken, 'auto:50' up to 50;"
        " 0 for no limit.",
    )
    write_rate: Rate = Field(default=0.0, description="Writes a second, all together; 0 for no limit of their own.")
    container_rate: Rate = Field(default=0.0, description="Requests a second for each container; 0 for no limit.")
    strict_rate: bool = Field(
        default=False,
        description="Count requests until they are answered: then the service, too, never sees more than the limits.",
    )
    concurrency: int = Field(default=4, ge=1, le=1024, description="Requests in flight, all together.")
    container_concurrency: int = Field(
        default=0, ge=0, description="Requests in flight for each container; 0 for no limit."
    )
    timeout: Seconds = Field(
        default=75.0,
        gt=0,
        description="Time for one request, seconds or '2m'; longer than the 60 s after which the gateway gives up.",
    )
    connect_timeout: Seconds = Field(default=10.0, gt=0, description="Time until a connection stands, seconds.")
    transport: Literal["aiohttp", "lean"] = Field(
        default="aiohttp",
        description="HTTP client: aiohttp, or lean, which costs a fraction and knows no proxies.",
    )
    event_loop: Literal["auto", "asyncio", "uvloop"] = Field(
        default="auto",
        description="Event loop: asyncio, uvloop (extra 'fast'), or auto: uvloop where it is installed and faster.",
    )
    max_attempts: int = Field(default=5, ge=1, description="Requests for one object at the most, the first included.")
    retry_budget: Seconds = Field(
        default=900.0, description="Time from the first attempt for an object to its last, seconds or '15m'."
    )
    backoff_base: Seconds = Field(
        default=1.0, description="Upper bound of the first random delay, seconds; it doubles with each attempt."
    )
    backoff_cap: Seconds = Field(default=60.0, description="Upper bound of every random delay, seconds.")

    guard: bool = Field(
        default=True,
        description="Read each object before its patch, and have the service refuse the patch if it has changed.",
    )
    quiet_period: Seconds = Field(
        default=60.0,
        ge=1,  # a share of it is all the time that a request has to leave once its intent is written (`api`)
        description="How long a request may still be carried out after it was given up.",
    )
    search_lag: Seconds = Field(default=30.0, description="How far lists may be behind, seconds.")
    on_doubt: Literal["hold", "assume-applied", "resend", "ask"] = Field(
        default="hold",
        description="What to do when looking cannot tell what became of a row: hold, assume-applied, resend or ask.",
    )
    marker: str = Field(
        default="",
        pattern=r"^(/[^/~]+)*$",
        description="Pointer to a text member that a create may be marked in, e.g. /characteristics/migrator.",
    )
    create_missing: bool = Field(
        default=False, description="Add a text that an offer does not have, instead of refusing to change it."
    )
    production: bool = Field(
        default=False, description="Ask for the name of the sandbox before anything is sent: --confirm-sandbox NAME."
    )
    max_changes: str = Field(
        default="",
        pattern=r"^(\d+|\d+(\.\d+)?%)?$",
        description="Refuse to change more objects than this: a number, or a share such as '5%' of those of a type.",
    )
    max_failures: str = Field(
        default="",
        pattern=r"^(\d+|\d+(\.\d+)?%)?$",
        description="Stop when more rows than this fail: a number, or a share such as '5%'.",
    )
    equal_failures: int = Field(
        default=50, ge=0, description="Stop when so many requests in a row fail alike; 0 for never."
    )
    max_duration: Seconds = Field(default=0.0, description="Stop after this time, seconds or '1h'; 0 for never.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone; `load` has merged every layer into it, in an order one can see."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _one_source_per_secret(self) -> Self:
        for name in SECRETS:
            given = [source for source in sources_of(name) if getattr(self, source)]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} exclude each other")
        return self

    _profile: str | None = PrivateAttr(default=None)
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def runs(self) -> Path:
        """The folder of runs.

        Raises:
            UsageError: the runs are in a database.
        """
        if isinstance(self.ledger, Path):
            return self.ledger
        hint = "name a folder with --ledger; `migrator ledger copy` moves a run between the two"
        raise UsageError("this is not done with the runs of a fleet", hint)

    @property
    def fleet(self) -> str | None:
        """The database of the fleet, or `None` if the runs are in a folder."""
        return None if isinstance(self.ledger, Path) else self.ledger

    @property
    def policy(self) -> Policy:
        """The bounds on attempts and delays."""
        return Policy(self.max_attempts, self.retry_budget, self.backoff_base, self.backoff_cap)

    @property
    def bounds(self) -> Bounds:
        """When a look is a proof."""
        return Bounds(self.quiet_period, self.search_lag, self.max_attempts, request_s=self.good_s + self.timeout)

    @property
    def overall_rate(self) -> float | Range:
        """Requests a second, all together; 0 for no limit; a range if it is to be found out."""
        if not isinstance(self.rate, str):
            return self.rate
        ceiling = rate_per_s(self.rate.partition(":")[2])
        return Range(ceiling) if isinstance(ceiling, float) else Range()

    @property
    def good_s(self) -> float:
        """For how many seconds after its intent a request may leave."""
        return min(self.timeout, GOOD_S)

    @property
    def limits(self) -> Limits:
        """When a run stops itself."""
        return Limits(share_of(self.max_failures), self.equal_failures, self.max_duration)

    def secret(self, name: str) -> str:
        """Return a secret from wherever it is kept, "" if nowhere.

        Raises:
            UsageError: the file cannot be read or the command fails.
        """
        value = getattr(self, name).get_secret_value()
        if value:
            return str(value)
        if file := getattr(self, f"{name}_file"):
            return _read_secret(name, file)
        if command := getattr(self, f"{name}_command"):
            return _run_secret(name, command)
        return ""

    def origin(self, name: str) -> str:
        """Say where the value of a setting is from: a flag, a variable of the environment, a file, or the default."""
        return self._origins.get(name, DEFAULT)

    def public(self) -> dict[str, Any]:
        """Return everything that is not a secret, for the ledger and for people."""
        return self.model_dump(mode="json", exclude=set(HIDDEN))

    def remembered(self) -> dict[str, Any]:
        """Return what a ledger keeps: everything public, and the profile, which may say where the secrets are."""
        return self.public() | ({"profile": self._profile} if self._profile else {})


def _read_secret(name: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}_file {file} cannot be read: {type(error).__name__}") from error


def _run_secret(name: str, command: str) -> str:
    """Run `command` without a shell and return what it prints. Its output is never quoted in a message."""
    try:
        ended = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 (the user's own command)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"{name}_command failed: {type(error).__name__}", "run it by hand to see why") from error
    return ended.stdout.strip()


def load(
    flags: Mapping[str, Any],
    *,
    profile: str | None = None,
    job: Mapping[str, Any] | None = None,
    job_name: str = "the job file",
) -> Settings:
    """Merge the layers and check the result.

    Args:
        flags: settings given on the command line, or by the caller of the library.
        profile: name of a file in `config/`, or the path of one, or of a configuration file of aepp (`.json`).
        job: the `[settings]` table of a job file, or the settings that a run began with.
        job_name: what to call that when values of it are wrong or are asked for.

    Raises:
        UsageError: a layer cannot be read, or values are wrong; all of them are named.
    """
    layers = [
        *([read_profile(profile)] if profile else []),
        without_secrets(job_name, job or {}),
        Layer("environment {variable}", EnvSettingsSource(Settings)()),
        Layer("flag {flag}", flags),
    ]
    values, origins = merge(layers)
    wrong = [sentence for layer in layers for sentence in layer.wrong]
    try:
        settings = Settings(**values)
    except ValidationError as error:
        wrong += _sentences(error, origins)
    if wrong:
        hint = "every setting with its default and meaning is in config/default.toml"
        raise UsageError("the settings are wrong: " + "; ".join(wrong), hint)
    settings._profile, settings._origins = profile, origins  # noqa: SLF001 (this module's own)
    return settings


def _sentences(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """Say each error of pydantic in one clause that names the setting and where its value is from."""
    return [
        _sentence(name, origins.get(name, ""), found["type"], found["msg"])
        for found in error.errors()
        for name in [".".join(map(str, found["loc"]))]
    ]


def _sentence(name: str, origin: str, kind: str, message: str) -> str:
    if kind != "extra_forbidden":
        text = message.removeprefix("Value error, ")
        return f"{name} ({variable(name)}): {text}{_from(origin)}" if name else text
    return no_such_setting(name) + _from(origin)


def _from(origin: str) -> str:
    return f", from {origin}" if origin else ""


def no_such_setting(name: str) -> str:
    """Say that there is no setting `name`, and which one it may be meant for."""
    near = get_close_matches(name, Settings.model_fields, n=1)
    return f"there is no setting {name}" + (f", did you mean {near[0]}?" if near else "")


def require_target(settings: Settings) -> None:
    """Check that a run knows where to go and as whom, before anything is read or sent.

    Raises:
        UsageError: with all that is missing.
    """
    missing = [variable(name) for name in ("org_id", "sandbox", "client_id") if not getattr(settings, name)]
    if not any(getattr(settings, source) for name in SECRETS for source in sources_of(name)):
        missing.append("MIGRATOR_CLIENT_SECRET (or MIGRATOR_ACCESS_TOKEN)")
    if missing:
        hint = "set them in the environment or a --profile; `migrator emulator` prints a set to try with"
        raise UsageError("not configured: " + ", ".join(missing) + " missing", hint)
