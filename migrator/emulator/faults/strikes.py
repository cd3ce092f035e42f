"""What a fault is given to work with when it strikes."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from migrator.emulator.entities import Style
    from migrator.emulator.http import Request, Response
    from migrator.emulator.ims import Ims
    from migrator.emulator.library import Library

    Proceed = Callable[[], Awaitable[Response]]
    """Goes on with the request, to the effect and the answer; outside of the service a refusal is an answer too."""
    Change = Callable[[Any, Style, str], Any]
    """Makes a document from another; told the style and the entity's word."""
    Act = Callable[["Strike", Proceed], Awaitable[Response]]
    """What a fault does: goes on with the request, or does not, or does so later, and answers."""


class LateWrites:
    """Requests whose clients have gone and whose effects are still to come.

    Attributes:
        ended: how many came to each end: ``landed`` had their effect, ``refused`` were refused when their time came.
    """

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self._waiting: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, delay_s: float, proceed: Proceed) -> None:
        """Go on with a request later, whether or not anybody waits for it."""
        task = asyncio.create_task(self._land(delay_s, proceed))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def clear(self) -> None:
        """Forget all that wait: they will have no effect."""
        self.ended.clear()
        for task in self._waiting:
            task.cancel()

    async def stop(self) -> None:
        """Forget all that wait, and be sure that none of them is running any more."""
        self.clear()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _land(self, delay_s: float, proceed: Proceed) -> None:
        await asyncio.sleep(delay_s)
        response = await proceed()
        self.ended["landed" if response.status < 400 else "refused"] += 1


@dataclass(frozen=True, slots=True)
class World:
    """What a fault can reach beside the request it strikes.

    Attributes:
        library: the objects.
        ims: the tokens.
        late: where effects wait for their time.
    """

    library: Library
    ims: Ims
    late: LateWrites


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that strikes one request.

    Attributes:
        values: the values of the rule's keys.
        request: the request.
        world: everything else.
    """

    values: Mapping[str, Any]
    request: Request
    world: World

    def __getitem__(self, key: str) -> Any:
        """The value of one of the rule's keys."""
        return self.values[key]

    def amend(self, change: Change) -> None:
        """Change the document that this request writes, on its way into the store; after earlier changes."""
        exchange = self.request.exchange
        earlier = exchange.amend

        def amended(document: bytes, style: Style, word: str) -> bytes:
            given = document if earlier is None else earlier(document, style, word)
            return msgspec.json.encode(change(msgspec.json.decode(given), style, word))

        exchange.amend = amended
