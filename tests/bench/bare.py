"""What any program built on an HTTP client pays: the run's session, its workers, its requests, ready made.

Nothing is planned, limited, judged or recorded. The session is that of the program, with its time-outs, which cost a
request 5 %: they are a promise, so a loop without them is not the same work.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec
from yarl import URL

from migrator import __version__
from migrator.core.model import Request, Response, Step
from migrator.core.styles import STYLES
from migrator.ledger.folder import RunFolder
from migrator.ledger.runledger import RunLedger
from migrator.settings import Settings
from migrator.transport.lean import open_lean
from migrator.transport.session import open_session
from tests.bench.watch import Watch

STAGE = 0
"""Nothing is deleted here."""

USER_AGENT = f"offer-migrator/{__version__}"


async def send(run: RunFolder, settings: Settings, watch: Watch) -> None:
    """Send the requests of `run` through aiohttp with nothing around them."""
    async with open_session(
        timeout_s=settings.timeout, connect_timeout_s=settings.connect_timeout, user_agent=USER_AGENT
    ) as session:

        async def once(request: Request) -> None:
            url = URL(settings.base_url + request.target, encoded=True)
            async with session.request(
                request.method, url, data=request.body, headers=request.headers, allow_redirects=False
            ) as response:
                await response.read()
                assert response.status == 200

        await _all(run, settings, watch, once)


async def send_lean(run: RunFolder, settings: Settings, watch: Watch) -> None:
    """Send the requests of `run` through the lean client with nothing around them."""
    async with open_lean(
        settings.base_url,
        timeout_s=settings.timeout,
        connect_timeout_s=settings.connect_timeout,
        user_agent=USER_AGENT,
    ) as client:

        async def once(request: Request) -> None:
            answer = await client.exchange(request, request.headers)
            assert isinstance(answer, Response)
            assert answer.status == 200

        await _all(run, settings, watch, once)


async def _all(run: RunFolder, settings: Settings, watch: Watch, once: Callable[[Request], Awaitable[None]]) -> None:
    """Let a fixed number of workers send all requests of `run`."""
    waiting = iter(list(rendered(await steps_of(run), settings)))

    async def work() -> None:
        for request in waiting:
            watch.write()
            await once(request)

    async with asyncio.TaskGroup() as crew:
        for _ in range(settings.concurrency):
            crew.create_task(work())
    watch.stop()


async def steps_of(run: RunFolder) -> Sequence[Step]:
    """Read all the steps of `run` in the order of the input, which is that in which the program sends them."""
    async with RunLedger(run.ledger) as ledger:
        lanes = [await ledger.pending(container, STAGE, 0, 1 << 30) for container in await ledger.containers(STAGE)]
    return sorted((step for lane in lanes for step in lane), key=lambda step: step.seq)


def rendered(steps: Iterable[Step], settings: Settings) -> Iterator[Request]:
    """Make the requests of `steps` complete: with every header that the program sends."""
    style = STYLES[settings.style]
    identity = identity_of(settings)
    for step in steps:
        request = style.render(step, sandbox=settings.sandbox, request_id=str(uuid.uuid4()))
        yield msgspec.structs.replace(request, headers={**request.headers, **identity})


def identity_of(settings: Settings) -> dict[str, str]:
    """Return the headers that say who sends."""
    return {
        "x-api-key": settings.client_id,
        "x-gw-ims-org-id": settings.org_id,
        "Authorization": "Bearer " + settings.secret("access_token"),
    }
