"""One request in, one answer out, over one aiohttp session.

The session is tuned for many small requests to one host (figures: `reference/performance.md` section 1):

* one connector without a limit of its own: the number of workers is the limit, and a second one would only queue;
* idle connections are dropped after 15 s, so that a write rarely meets a connection the server has just closed, which
  would
  leave it in doubt;
* no cookies, no redirects, no decompression, no automatic headers: what leaves is what the endpoint style wrote;
* proxies from the environment are looked up once. aiohttp's own `trust_env` would look them up in a thread for every
  request, and would let a `.netrc` put its credentials beside ours.

Nothing below this module repeats a write: aiohttp repeats only GET, HEAD, OPTIONS, TRACE, PUT and DELETE, and those
only once, when a kept-alive connection turns out to be dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from migrator.core.model import Answer, Failure, FailureKind, Request, Response
from migrator.transport.credentials import Credentials, CredentialsRefused, CredentialsUnreachable

NEVER_SENT = (
    aiohttp.ClientConnectorError,  # refused, name look-up, TLS, a proxy that is down
    aiohttp.ClientHttpProxyError,  # the proxy refused the tunnel
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
)
"""Exceptions that prove that not one byte of the request reached the service. All others leave it in doubt."""

IDLE_S = 15.0

KEPT_HEADERS = ("retry-after", "date", "location", "x-request-id")
"""The response headers that somebody reads."""


class HttpTransport:
    """The transport of a run. It implements `ports.Transport`."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, credentials: Credentials, org_id: str) -> None:
        """Send through `session`.

        Args:
            session: made by `open_session`.
            base_url: scheme, host and port of the service.
            credentials: gives the token of each request.
            org_id: the organisation, `…@AdobeOrg`.
        """
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._identity = {"x-api-key": credentials.client_id, "x-gw-ims-org-id": org_id}

    @property
    def renewable(self) -> bool:
        """Whether a token that the service refuses is replaced before the next request."""
        return self._credentials.renewable

    async def send(self, request: Request) -> Answer:
        """Send `request` once and read the answer to its end."""
        try:
            token = await self._credentials.token()
        except CredentialsUnreachable as error:
            return Failure(FailureKind.NOT_SENT, str(error))
        except CredentialsRefused as error:
            return Failure(FailureKind.NO_CREDENTIALS, str(error))
        answer = await self._exchange(request, token)
        if isinstance(answer, Response) and answer.status in (401, 403):
            # A 403 may be the gateway's word on the token too; a new one costs one call and proves nothing wrong.
            self._credentials.reject(token)
        return answer

    async def _exchange(self, request: Request, token: str) -> Answer:
        headers = {**request.headers, **self._identity, "Authorization": "Bearer " + token}
        url = URL(self._base_url + request.target, encoded=True)
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers, allow_redirects=False
            ) as response:
                body = await response.read()
                return Response(response.status, _kept(response.headers), body)
        except NEVER_SENT as error:
            return Failure(FailureKind.NOT_SENT, describe(error))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Failure(FailureKind.LOST, describe(error))


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


def describe(error: BaseException) -> str:
    """Say what went wrong in one line; several of aiohttp's exceptions say nothing by themselves."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no answer within the time-out"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@asynccontextmanager
async def open_session(
    base_url: str, *, timeout_s: float, connect_timeout_s: float, user_agent: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the one session of a run.

    Args:
        base_url: the service; decides which proxy is used, if any.
        timeout_s: whole request, from the wish for a connection to the last byte of the answer.
        connect_timeout_s: until the connection stands.
        user_agent: how we introduce ourselves.
    """
    proxy, proxy_auth = _proxy(URL(base_url))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s, connect=connect_timeout_s),
        headers={"User-Agent": user_agent},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
        proxy=proxy,
        proxy_auth=proxy_auth,
    ) as session:
        yield session
        # One turn of the loop lets the transports that `close` will close say goodbye.
        await asyncio.sleep(0)


def _proxy(url: URL) -> tuple[URL | None, aiohttp.BasicAuth | None]:
    """Find the proxy for `url` in the environment: `https_proxy`, `http_proxy`, `no_proxy`, in either case."""
    found = getproxies().get(url.scheme)
    if not found or proxy_bypass(url.host or ""):
        return None, None
    proxy = URL(found)
    if proxy.user is None:
        return proxy, None
    return proxy.with_user(None), aiohttp.BasicAuth(proxy.user, proxy.password or "")
