"""`migrator emulator`: a thin twin of `migrator.emulator.Emulator`."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from migrator.core.errors import UsageError
from migrator.emulator import Choices, Emulator, EmulatorSettings, help_lines, listing, read_config
from migrator.emulator.limits import RetryAfter

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this machine can reach."""


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings and faults from a file; flags win."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8399, show_default=True, help="0 takes a free one.")
@click.option("--seed-offers", type=click.IntRange(0), default=0, metavar="N", help="Personalized offers at the start.")
@click.option("--containers", type=click.IntRange(1), default=1, show_default=True, help="xcore containers that exist.")
@click.option(
    "--sandbox", "sandboxes", multiple=True, default=("dev", "prod"), show_default=True, help="May be repeated."
)
@click.option("--client-id", help="The only client id accepted [default: any].")
@click.option("--client-secret", help="The only secret accepted, with --client-id [default: any].")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0,
    show_default=True,
    help="Requests a second per api key; 0 for no limit.",
)
@click.option(
    "--container-rate", type=click.FloatRange(0), default=0, show_default=True, help="The same per container."
)
@click.option("--burst", type=click.IntRange(1), default=20, show_default=True, help="Requests that may come at once.")
@click.option(
    "--retry-after",
    type=click.Choice(get_args(RetryAfter)),
    default="seconds",
    show_default=True,
    help="How a 429 of the limit says when to come back.",
)
@click.option(
    "--latency", "latency_s", type=click.FloatRange(0), default=0, metavar="SECONDS", help="Between effect and answer."
)
@click.option(
    "--token-lifetime",
    "token_lifetime_s",
    type=click.FloatRange(1),
    default=86399,
    show_default=True,
    metavar="SECONDS",
    help="Of issued tokens.",
)
@click.option(
    "--choice",
    "choices",
    multiple=True,
    metavar="ID=VALUE",
    help="Answer an open question the other way, such as C-16=412; may be repeated.",
)
@click.option(
    "--list-choices",
    is_flag=True,
    help="Say which questions the documents leave open, and how each can be answered; then end.",
)
@click.option(
    "--fault", "faults", multiple=True, metavar="RULE", help="Misbehave, e.g. drop-after:PATCH:p=0.05; may be repeated."
)
@click.option("--fault-seed", type=int, default=0, show_default=True, help="The same seed misbehaves in the same way.")
@click.option("--list-faults", is_flag=True, help="Say what can go wrong, and how a rule is written; then end.")
@click.pass_context
def emulator(
    context: click.Context,
    /,
    config: Path | None,
    client_secret: str | None,
    list_choices: bool,
    list_faults: bool,
    **options: Any,
) -> int:
    """Serve the Offer Library on this machine, in both styles, to try a run against.

    What really happened is under /_emulator/state, /_emulator/requests, /_emulator/effects and /_emulator/objects;
    /_emulator/faults changes how it misbehaves while a run goes on.

    \b
    Examples:  migrator emulator --seed-offers 1000
               migrator emulator --port 0 --rate 10 --latency 0.05
               migrator emulator --fault drop-after:PATCH:p=0.05 --choice C-16=412
               migrator emulator --config config/rehearsal.toml
    Exit codes: 0 it was stopped · 2 it cannot begin
    """
    if list_faults or list_choices:
        click.echo(listing() if list_faults else "\n".join(help_lines()))
        return 0
    given = {name: value for name, value in options.items() if _was_given(context, name)}
    if "client_id" in given:
        given["client_secret"] = client_secret
    settings = _settings(config, {"port": options["port"]}, given)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    return 0


def _was_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _settings(config: Path | None, defaults: dict[str, Any], given: dict[str, Any]) -> EmulatorSettings:
    """Lay flags over the file over the command's own defaults.

    Raises:
        UsageError: the file cannot be read, or something in it or in the flags cannot be meant.
    """
    try:
        read = read_config(config) if config else {}
        choices = _chosen(read.get("choices", Choices()), given.pop("choices", ()))
        return EmulatorSettings(**(defaults | read | given | {"choices": choices}))
    except OSError as error:
        raise UsageError(f"{config} cannot be read: {error.strerror}") from error
    except ValueError as error:
        hint = "`migrator emulator --list-faults` and `--list-choices` say what can be written there"
        raise UsageError(str(error), hint) from error


def _chosen(choices: Choices, texts: Iterable[str]) -> Choices:
    """Choices with some of them made by ``--choice``, which win."""
    try:
        return choices.but(dict(_parted(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--choice: {error}", "`migrator emulator --list-choices` says what can be chosen") from error


def _parted(text: str) -> tuple[str, str]:
    label, _, value = text.partition("=")
    return label, value


def _cannot_listen(settings: EmulatorSettings, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        hint = "choose another with --port, or --port 0 for a free one"
        return UsageError(f"port {settings.port} is taken", hint)
    return UsageError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")


async def _serve(settings: EmulatorSettings) -> None:
    """Serve until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Emulator(settings) as server:
        click.echo(_greeting(server.url, settings))
        if settings.host not in LOCAL:
            click.echo(f"warning: listening on {settings.host}: anybody who reaches this machine can use it", err=True)
        await stopped.wait()


def _greeting(url: str, settings: EmulatorSettings) -> str:
    """Say how to point the migrator here; the lines can be pasted into a shell."""
    environment = {
        "MIGRATOR_BASE_URL": url,
        "MIGRATOR_IMS_URL": url,
        "MIGRATOR_ORG_ID": "EMULATOR@AdobeOrg",
        "MIGRATOR_SANDBOX": settings.sandboxes[0],
        "MIGRATOR_CLIENT_ID": settings.client_id or "emulator-client",
        "MIGRATOR_CLIENT_SECRET": "…the one you gave…" if settings.client_secret else "anything",
    }
    return "\n".join(
        [
            f"# The Offer Library emulator listens on {url}; stop it with Ctrl-C. In another shell:",
            *(f"export {name}={value}" for name, value in environment.items()),
            *(f"# chooses: {identifier}={value}" for identifier, value in settings.choices.made.items()),
            *(f"# misbehaves: {rule.text}" for rule in settings.rules),
        ]
    )
