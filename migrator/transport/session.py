"""The client that is used unless another is asked for: one aiohttp session.

The session is tuned for many small requests to one host (figures: `reference/performance.md` section 1):

* one connector without a limit of its own: the number of workers is the limit, and a second one would only queue;
* the time-out of a whole request is kept by `deadlines`: by one timer, where aiohttp takes one for each;
* idle connections are dropped after 15 s, so that a write rarely meets a connection the server has just closed, which
  would leave it in doubt;
* no cookies, no redirects, no automatic headers: what leaves is what the endpoint style wrote. As no header says which
  codings we read, the service may choose (RFC 9110, 12.5.3), so a compressed answer is unpacked.

aiohttp would repeat a GET, PUT or DELETE whose kept-alive connection turns out to be dead; neither the throttle nor the
ledger would know of it, so it is switched off. What an exception proves about the one request that was sent is sorted
in `failures`, without trace hooks, and one that proves nothing means doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from migrator.core.model import Answer, Request, Response
from migrator.transport.deadlines import Deadlines
from migrator.transport.failures import BROKEN, failure_of
from migrator.transport.http import KEPT_HEADERS
from migrator.transport.proxies import proxy_for

IDLE_S = 15.0


class SessionClient:
    """Sends requests to one service through a session. It implements `http.Client`."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        """Send through `session`.

        Args:
            session: made by `open_session`.
            base_url: scheme, host and port of the service.

        Raises:
            UsageError: the environment names a proxy that cannot be used.
        """
        url = URL(base_url)
        self._session = session
        # A URL made of parts need not be taken apart again, which each request would pay for.
        self._url = partial(URL.build, scheme=url.scheme, authority=url.raw_authority, encoded=True)
        self._base_path = url.raw_path.rstrip("/")
        self._proxy = proxy_for(url)
        assert session.timeout.total is not None
        self._deadlines = Deadlines(session.timeout.total)
        self._timeout = aiohttp.ClientTimeout(connect=session.timeout.connect)

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send `request` once with `headers`, and read the answer to its end."""
        path, _, query = request.target.partition("?")
        task = asyncio.current_task()
        assert task is not None
        self._deadlines.begin(task)
        try:
            response = await self._session.request(
                request.method,
                self._url(path=self._base_path + path, query_string=query),
                data=request.body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=self._timeout,
            )
            body = await response.read()  # which lets go of the connection, or ends it
        except asyncio.CancelledError:
            if not self._deadlines.passed(task):
                raise
            return failure_of(TimeoutError())
        except BROKEN as error:
            return failure_of(error)
        finally:
            self._deadlines.end(task)
        return Response(response.status, _kept(response.headers) if response.status >= 300 else {}, body)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


class _PlainRequest(aiohttp.ClientRequest):
    """A request without headers that nobody wrote. To have the session skip them costs more than to send them."""

    DEFAULT_HEADERS: ClassVar[dict[str, str]] = {}  # type: ignore[assignment,misc]
    _skip_auto_headers = CIMultiDict({"Content-Type": None})  # that of the body; tests fail if this is renamed


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
        request_class=_PlainRequest,
        trace_configs=list(traces),
    ) as session:
        # There is no public switch; the tests on dead connections fail if this one is renamed.
        session._retry_connection = False  # noqa: SLF001
        yield session
