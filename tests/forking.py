"""Commands that begin as forks: to import the program takes far longer than most commands do.

One process, the mother, has the command line imported and does nothing with it but fork. Each fork is a process of its
own, which becomes `python -m migrator` with the arguments, the folder, the environment and the files it is given, and
ends as that would: by itself, by a signal, with a traceback. What is meant to be interfered with, or asks for its
input, is started from nothing (`conftest.CommandLine.start`).

::

    test ──order, files──▶ mother ──fork──▶ watcher ──fork──▶ command
     ▲                                         │
     └────────────── process id, exit code ────┘
"""

from __future__ import annotations

import asyncio
import gc
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import Struct
from tempfile import TemporaryFile
from typing import IO, Self

import msgspec

ROOT = Path(__file__).parents[1]

SIZE = Struct("!I")
"""What goes before an order: how many octets it has."""

FILES = 3
"""What goes along with it: standard output, standard error, and a pipe for what is told of the command."""


class Order(msgspec.Struct):
    """What a command is given beside its files."""

    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]


class Mother:
    """Runs commands as forks of a process that has them imported. A context manager."""

    def __enter__(self) -> Self:
        self._socket, hers = socket.socketpair()
        with hers:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(hers.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[hers.fileno()],
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        self._process.wait()

    async def run(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, negative for a signal, and what it wrote."""
        order = msgspec.msgpack.encode(Order(tuple(arguments), str(folder), dict(environment)))
        with TemporaryFile() as out, TemporaryFile() as err:
            told, tells = os.pipe()
            try:
                socket.send_fds(self._socket, [SIZE.pack(len(order))], [out.fileno(), err.fileno(), tells])
                self._socket.sendall(order)
            finally:
                os.close(tells)
            with os.fdopen(told, "rb") as pipe:
                code = await _exit_code(pipe)
            return code, _text(out), _text(err)


async def _exit_code(pipe: IO[bytes]) -> int:
    """Wait for the end of a command; if nobody waits any longer, that is now."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    command = int(await reader.readline())
    try:
        return int(await reader.read())
    except asyncio.CancelledError:
        os.kill(command, signal.SIGKILL)
        raise
    finally:
        transport.close()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def become_a_command(orders: socket.socket) -> None:
    """Fork for each order, and return in the fork that is to carry it out; end when nobody is left to give any."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for watchers
    while True:
        size, files, *_ = socket.recv_fds(orders, SIZE.size, FILES)
        if not size:
            os._exit(0)
        (octets,) = SIZE.unpack(size)
        order = orders.recv(octets, socket.MSG_WAITALL)
        if not os.fork():
            break
        for file in files:
            os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orders.close()
    *standard, tells = files
    if command := os.fork():
        _watch(command, tells)
    os.close(tells)
    _dress(msgspec.msgpack.decode(order, type=Order), standard)


def _watch(command: int, tells: int) -> None:
    """Tell which process a command is, and how it has ended."""
    os.write(tells, f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    os.write(tells, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _dress(order: Order, standard: Sequence[int]) -> None:
    """Give this process what it would have been started with."""
    for number, file in enumerate(standard, start=1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[0] = order.folder
    sys.argv[1:] = order.arguments


if __name__ == "__main__":
    import migrator.cli  # noqa: F401 (what takes so long)

    gc.freeze()  # or each fork would throw all of it away one by one when it ends
    become_a_command(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("migrator", run_name="__main__", alter_sys=True)
