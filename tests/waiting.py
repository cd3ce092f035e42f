"""Waiting that ends: for turns of the loop, for what takes no time, and for another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 30
"""Far more than anything here takes, on any machine."""

ROOT = Path(__file__).parents[1]


async def some_turns() -> None:
    """Let everybody do what can be done now."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fails the test if it never is."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 (what is watched has no event of its own)
            await asyncio.sleep(0)


async def holds(question: Callable[[], Awaitable[object]]) -> None:
    """Wait until what is asked of somewhere else is so; fails the test if it never is."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await question():  # noqa: ASYNC110 (what is asked has no event here)
            await asyncio.sleep(0.01)


async def soon(what: Awaitable[T]) -> T:
    """Wait for what takes no time: a test that would wait for ever fails instead."""
    return await asyncio.wait_for(what, TIMEOUT_S)


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that runs `script` and can import from `tests`."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
