"""`migrator emulator`: a thin twin of `migrator.emulator.Emulator`."""

from __future__ import annotations

import asyncio
import errno
import signal

import click

from migrator.core.errors import UsageError
from migrator.emulator import Choices, Emulator, EmulatorSettings


@click.command()
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
@click.option("--latency", type=click.FloatRange(0), default=0, metavar="SECONDS", help="Between effect and answer.")
@click.option(
    "--token-lifetime",
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
def emulator(
    host: str,
    port: int,
    seed_offers: int,
    containers: int,
    sandboxes: tuple[str, ...],
    client_id: str | None,
    client_secret: str | None,
    rate: float,
    container_rate: float,
    burst: int,
    latency: float,
    token_lifetime: float,
    choices: tuple[str, ...],
) -> int:
    r"""Serve the Offer Library on this machine, in both styles, to try a run against.

    All seven entities. What really happened is under /_emulator/state, /_emulator/effects and /_emulator/objects.

    \b
    Examples:  migrator emulator --seed-offers 1000
               migrator emulator --port 0 --rate 10 --latency 0.05
    """
    settings = EmulatorSettings(
        host=host,
        port=port,
        seed_offers=seed_offers,
        containers=containers,
        sandboxes=sandboxes,
        client_id=client_id,
        client_secret=client_secret if client_id else None,
        token_lifetime_s=token_lifetime,
        rate=rate,
        container_rate=container_rate,
        burst=burst,
        latency_s=latency,
        choices=_chosen(choices),
    )
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        raise UsageError(f"port {port} is taken", "choose another with --port, or --port 0 for a free one") from error
    return 0


def _chosen(texts: tuple[str, ...]) -> Choices:
    try:
        return Choices.from_texts(dict(_parted(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--choice: {error}", "give an id or a name and a value, such as --choice C-16=412") from error


def _parted(text: str) -> tuple[str, str]:
    label, _, value = text.partition("=")
    return label, value


async def _serve(settings: EmulatorSettings) -> None:
    """Serve until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Emulator(settings) as server:
        click.echo(_greeting(server.url, settings))
        if settings.host not in ("127.0.0.1", "localhost", "::1"):
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
    lines = [f"export {name}={value}" for name, value in environment.items()]
    return "\n".join(
        [
            f"# The Offer Library emulator listens on {url}; stop it with Ctrl-C. In another shell:",
            *lines,
        ]
    )
