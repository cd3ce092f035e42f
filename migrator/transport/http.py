"""One request in, one answer out, over one aiohttp session.

The session is tuned for many small requests to one host (figures: `reference/performance.md` section 1):

* one connector without a limit of its own: the number of workers is the limit, and a second one would only queue;
* idle connections are dropped after 15 s, so that a write rarely meets a connection the server has just closed, which
  would leave it in doubt;
* no cookies, no redirects, no automatic headers: what leaves is what the endpoint style wrote. As no header says which
  codings we read, the service may choose (RFC 9110, 12.5.3), so a compressed answer is unpacked.

Nothing below this module repeats a request. aiohttp would repeat a GET, PUT or DELETE whose kept-alive connection turns
out to be dead; neither the throttle nor the ledger would know of it, so it is switched off. What an exception proves
about the one request that was sent is sorted in `failures`, without trace hooks, and one that proves nothing means
doubt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
from yarl import URL

from migrator.core.model import Answer, Failure, FailureKind, Request, Response
from migrator.transport.credentials import Credentials, CredentialsRefused, CredentialsUnreachable
from migrator.transport.failures import BROKEN, failure_of, printable
from migrator.transport.proxies import proxy_for

IDLE_S = 15.0

KEPT_HEADERS = ("retry-after", "date", "location")
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

        Raises:
            UsageError: the environment names a proxy that cannot be used.
        """
        url = URL(base_url)
        self._session = session
        # A URL made of parts need not be taken apart again, which each request would pay for.
        self._url = partial(URL.build, scheme=url.scheme, authority=url.raw_authority, encoded=True)
        self._base_path = url.raw_path.rstrip("/")
        self._proxy = proxy_for(url)
        self._credentials = credentials
        self._identity = {"x-api-key": credentials.client_id, "x-gw-ims-org-id": org_id}

    @property
    def renewable(self) -> bool:
        """Whether a token that the service refuses is replaced before the next request."""
        return self._credentials.renewable

    @property
    def ready(self) -> bool:
        """Whether a token is at hand. Waiting for one is not part of sending, or a rate could not be kept."""
        return self._credentials.at_hand

    async def make_ready(self) -> Failure | None:
        """Have a token at hand."""
        token = await self._token()
        return token if isinstance(token, Failure) else None

    async def send(self, request: Request) -> Answer:
        """Send `request` once and read the answer to its end."""
        token = await self._token()
        if isinstance(token, Failure):
            return token
        path, _, query = request.target.partition("?")
        try:
            async with self._session.request(
                request.method,
                self._url(path=self._base_path + path, query_string=query),
                data=request.body,
                headers={**request.headers, **self._identity, "Authorization": f"Bearer {token}"},
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                body = await response.read()
        except BROKEN as error:
            return failure_of(error)
        if response.status in (401, 403):
            # A 403 may be the gateway's word on the token too; a new one costs one call and proves nothing wrong.
            self._credentials.reject(token)
        # What stands on the way may print the request it got, and messages quote what they are told.
        body = body.replace(token.encode(), b"***")
        return Response(response.status, _kept(response.headers, token) if response.status >= 300 else {}, body)

    async def _token(self) -> str | Failure:
        try:
            return await self._credentials.token()
        except CredentialsUnreachable as error:
            return Failure(FailureKind.NOT_SENT, str(error))
        except CredentialsRefused as error:
            return Failure(FailureKind.NO_CREDENTIALS, str(error))


def _kept(headers: Mapping[str, str], token: str) -> dict[str, str]:
    return {name: printable(headers[name]).replace(token, "***") for name in KEPT_HEADERS if name in headers}


@asynccontextmanager
async def open_session(
    *, timeout_s: float, connect_timeout_s: float, user_agent: str, traces: Sequence[aiohttp.TraceConfig] = ()
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the one session of a run.

    Args:
        timeout_s: whole request, from the wish for a connection to the last byte of the answer.
        connect_timeout_s: until the connection stands.
        user_agent: how we introduce ourselves.
        traces: what looks on; not in a run, which would pay for it with each request.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s, connect=connect_timeout_s),
        headers={"User-Agent": user_agent},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        trace_configs=list(traces),
    ) as session:
        # There is no public switch; the tests on dead connections fail if this one is renamed.
        session._retry_connection = False  # noqa: SLF001
        yield session
