"""A PostgreSQL server of the tests' own, on loopback, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
"""Where programs of PostgreSQL are that are not on the PATH."""

FAST = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=200"
"""A test's server need not survive a power cut, only being killed."""


def program(name: str) -> Path | None:
    """Return where a program of PostgreSQL is, if it is anywhere."""
    if found := shutil.which(name):
        return Path(found)
    places = [place for folder in FOLDERS for place in Path(folder).glob(f"*/bin/{name}")]
    return max(places, default=None)


class Server:
    """A server that runs, may be killed, and be started again.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        # The server refuses to run as root.
        self._as = [] if os.geteuid() else ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.port = _free_port()

    def make(self) -> None:
        if not os.geteuid():
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=migrator", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        options = f"{FAST} -p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("pg_ctl", "--wait", "--timeout=60", f"--log={self._folder / 'log'}", f"--options={options}", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is what a crash is."""
        self._run("pg_ctl", "--wait", f"--mode={mode}", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self._as, str(program(name)), f"--pgdata={self._folder / 'data'}", *arguments]
        # Not through pipes: the server would inherit and keep them.
        ended = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")
        assert ended.returncode == 0, f"{command} ended with {ended.returncode}"

    def url(self, database: str) -> str:
        return f"postgresql://migrator@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"fleet{next(self._numbers)}"
        statement = ["psql", "--quiet", "--command", f"CREATE DATABASE {name}", self.url("postgres")]
        subprocess.run([str(program(statement[0])), *statement[1:]], check=True)
        return self.url(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running() -> Iterator[Server]:
    """Run a server; skips the test where there is no PostgreSQL."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="migrator-postgres-") as folder:
        server = Server(Path(folder))
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
