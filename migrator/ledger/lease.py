"""Whose ledger it is: a lease in the file itself, for when the run's file lock does not reach.

The lock keeps a second process of one machine away, and is gone with a process that dies. Between machines that share
a folder it may mean nothing, so the ledger has a lease as well (`reference/resumption.md` section 5). Whoever opens the
ledger takes the next epoch; every batch renews the lease of its own epoch in its own transaction. A process that was
paused and taken over from writes nothing any more, and what it still has durable is too old to be sent.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from datetime import UTC, datetime

from migrator.core.errors import LedgerFailed, Stopped

DURATION_S = 120.0
"""For how long a batch keeps other machines away, unless told otherwise."""


def this_process() -> str:
    """Name this process among those of all machines: host and process id."""
    return f"{socket.gethostname()} {os.getpid()}"


def take(db: sqlite3.Connection, owner: str, now: float, expires_at: float) -> int:
    """Take the lease, inside a transaction, and return its epoch.

    The caller holds the run's lock: an owner on this machine is dead, however long its lease.

    Raises:
        Stopped: an owner on another machine has it.
    """
    epoch, before, until = db.execute("SELECT epoch, owner, expires_at FROM lease").fetchone()
    if until > now and _host(before) != _host(owner):
        host, _, process = before.rpartition(" ")
        hint = "wait until then, or stop it there; a clean stop frees the run at once"
        raise Stopped(f"process {process} on {host} is running this run, at least until {_spelled(until)}", hint)
    db.execute("UPDATE lease SET epoch = ?, owner = ?, expires_at = ?", (epoch + 1, owner, expires_at))
    return int(epoch) + 1


def renew(db: sqlite3.Connection, epoch: int, expires_at: float) -> None:
    """Prolong the lease of `epoch`, inside the transaction of a batch.

    Raises:
        LedgerFailed: another process has a later one.
    """
    if db.execute("UPDATE lease SET expires_at = ? WHERE epoch = ?", (expires_at, epoch)).rowcount != 1:
        hint = "look with `migrator status`; nothing that this process has not sent yet is sent by it any more"
        raise LedgerFailed("another process has taken over this run", hint)


def _host(owner: str) -> str:
    return owner.rpartition(" ")[0]


def _spelled(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
