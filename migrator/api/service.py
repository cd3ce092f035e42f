"""The way to the service: one session, one throttle, and what is read through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import ClientSession, TraceConfig
from yarl import URL

from migrator import __version__
from migrator.clock import SystemClock
from migrator.core.styles import STYLES, Style
from migrator.engine import Caller, Reader, Wire
from migrator.logs import log
from migrator.settings import Settings
from migrator.transport.credentials import ClientCredentials, Credentials, ReadyToken
from migrator.transport.http import Client, HttpTransport
from migrator.transport.lean import open_lean
from migrator.transport.proxies import proxy_for
from migrator.transport.session import SessionClient, open_session
from migrator.transport.throttle import Past, Throttle

_latest: dict[tuple[str, str], Throttle] = {}
"""The throttle that this process has made last, by service and client: these have the limit, not a command's parts."""

USER_AGENT = f"offer-migrator/{__version__}"


def new_throttle(settings: Settings) -> Throttle:
    """Return what grants leave to send, to all that share it; what this process has sent before counts."""
    of = settings.base_url, settings.client_id
    _latest[of] = Throttle(
        rate=settings.overall_rate,
        write_rate=settings.write_rate,
        container_rate=settings.container_rate,
        strict=settings.strict_rate,
        past=_latest[of].past if of in _latest else Past(),
    )
    return _latest[of]


def caller_of(settings: Settings) -> Caller:
    """Return as whom requests are sent."""
    return Caller(settings.sandbox, settings.client_id, settings.marker)


@asynccontextmanager
async def transport_of(settings: Settings) -> AsyncIterator[HttpTransport]:
    """Open a session with the service, and the credentials for it."""
    async with session_of(settings) as session:
        credentials = credentials_of(settings, session)
        async with _client(settings, session) as client:
            yield HttpTransport(client, credentials, settings.org_id)


def session_of(settings: Settings, *traces: TraceConfig) -> AbstractAsyncContextManager[ClientSession]:
    """Open a session with the timeouts of the settings; `traces` look on at all that goes through it."""
    return open_session(
        timeout_s=settings.timeout,
        connect_timeout_s=settings.connect_timeout,
        user_agent=USER_AGENT,
        traces=traces,
    )


@asynccontextmanager
async def _client(settings: Settings, session: ClientSession) -> AsyncIterator[Client]:
    """Open the way to the service that the settings ask for."""
    usual = SessionClient(session, settings.base_url)
    if settings.transport == "aiohttp":
        yield usual
    elif proxy_for(URL(settings.base_url)) is not None:
        log.warning("transport.aiohttp", because="the lean one knows no proxies")
        yield usual
    else:
        async with open_lean(
            settings.base_url,
            timeout_s=settings.timeout,
            connect_timeout_s=settings.connect_timeout,
            user_agent=USER_AGENT,
        ) as client:
            yield client


def credentials_of(settings: Settings, session: ClientSession) -> Credentials:
    """Return what gives the tokens: a ready one, or the identity service.

    Raises:
        UsageError: the secret cannot be had.
    """
    if token := settings.secret("access_token"):
        return ReadyToken(settings.client_id, token)
    return ClientCredentials(
        session,
        settings.ims_url,
        client_id=settings.client_id,
        client_secret=settings.secret("client_secret"),
        scopes=settings.scopes,
    )


@asynccontextmanager
async def reading(settings: Settings, *styles: Style) -> AsyncIterator[list[Reader]]:
    """Open the way to the service for reads alone.

    Args:
        settings: where to, as whom and how fast.
        styles: of what is read; that of the settings if there are none.

    Yields:
        A reader for each style. They share one way, so that all of them together keep the rate.
    """
    throttle = new_throttle(settings)
    async with transport_of(settings) as transport:
        wire = Wire(transport=transport, throttle=throttle, clock=SystemClock(), policy=settings.policy)
        yield [Reader(wire, style, caller_of(settings)) for style in styles or (STYLES[settings.style],)]
