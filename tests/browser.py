"""A headless Chromium, driven over its DevTools protocol: what a person would do with a page, and what it says to it.

The protocol is JSON over a WebSocket, which aiohttp speaks; nothing has to be installed but the browser.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = (
    "--headless",
    "--no-sandbox",  # the tests may be run by root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

TIMEOUT_S = 60


class Page:
    """One page. What it complained of and what it asked for is collected from the beginning."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                self._hear(json.loads(message.data))

    def _hear(self, said: dict[str, Any]) -> None:
        if (number := said.get("id")) is not None:
            self._answers.pop(number).set_result(said)
            return
        match said["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["params"]["exceptionDetails"]))
            case "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(str(said["params"]))
            case method:
                self._events[method].set()

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command of the protocol and return its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(TIMEOUT_S):
            said = await self._answers[number]
        assert "result" in said, said
        return said["result"]

    async def open(self, url: str) -> None:
        """Load a page and wait until it is loaded."""
        loaded = self._events["Page.loadEventFired"]
        loaded.clear()
        await self.ask("Page.navigate", url=url)
        async with asyncio.timeout(TIMEOUT_S):
            await loaded.wait()

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page and return its value."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(TIMEOUT_S):
            while not await self.run(f"Boolean({condition})"):  # noqa: ASYNC110 (what is watched is another process)
                await asyncio.sleep(0.02)

    async def text(self, selector: str) -> str:
        """Return the text of an element as it is shown."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        where = await self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            " one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    async def type(self, text: str) -> None:
        """Type a text where the focus is."""
        await self.ask("Input.insertText", text=text)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    async def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Show the page in so many pixels."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    async def prefer(self, scheme: str, media: str = "") -> None:
        """Prefer a colour scheme: light or dark; `media` is `print` to see it as it is printed."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.ask("Emulation.setEmulatedMedia", media=media, features=features)

    async def picture(self) -> bytes:
        """Return a picture of what is seen, as PNG."""
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])

    async def printed(self) -> bytes:
        """Return the page as a PDF."""
        return base64.b64decode((await self.ask("Page.printToPDF", printBackground=True))["data"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """Yield an empty page of a browser that has its profile in `folder`, and nothing from anywhere else."""
    assert CHROMIUM is not None
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        env=environment | {"HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (url,) = [one["webSocketDebuggerUrl"] for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.ask(f"{domain}.enable")
                yield page
            await listening
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _port(file: Path) -> int:
    """Wait until the browser says where it listens."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (lines := _lines(file)):  # noqa: ASYNC110 (what is watched is another process)
            await asyncio.sleep(0.05)
    return int(lines[0])


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
