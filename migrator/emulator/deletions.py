"""Deletes that are accepted first and decided later (contract 3.10).

A delete waits for a moment, then it is carried out, or refused because another object refers to the one in question.
Its outcome can be asked for under an address of its own. Nothing runs in the background: what is due is settled when
the next request comes.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from migrator.emulator.editing import Editor
    from migrator.emulator.library import Caller, Library
    from migrator.emulator.store import Record

PENDING_US = 1_000_000
"""Microseconds from the request to the deletion."""


class _Waiting(NamedTuple):
    due_us: int
    token: str
    record: Record
    caller: Caller


class Deletions:
    """The deletes that were accepted.

    Args:
        library: the objects.
        editor: carries them out.
    """

    def __init__(self, library: Library, editor: Editor) -> None:
        self._library = library
        self._editor = editor
        self._waiting: deque[_Waiting] = deque()
        self._outcomes: dict[str, dict[str, str] | None] = {}

    def accept(self, record: Record, caller: Caller) -> str:
        """Take a delete on. Returns the token to ask for its outcome with."""
        token = secrets.token_hex(8)
        self._outcomes[token] = None
        self._waiting.append(_Waiting(self._library.now_us() + PENDING_US, token, record, caller))
        return token

    def outcome(self, token: str) -> dict[str, str] | None:
        """What became of a delete; None while it waits.

        Raises:
            KeyError: there never was one of this token.
        """
        return self._outcomes[token]

    def settle(self) -> None:
        """Carry out what is due."""
        while self._waiting and self._waiting[0].due_us <= self._library.now_us():
            waiting = self._waiting.popleft()
            self._outcomes[waiting.token] = self._decide(waiting)

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting.clear()
        self._outcomes.clear()

    def _decide(self, waiting: _Waiting) -> dict[str, str]:
        record = waiting.record
        now = self._library.store.find(record.style, record.scope, record.key)
        if now is not None:
            try:
                self._editor.delete(now, waiting.caller)
            except ProblemError as refusal:
                return {"instanceId": record.key, "status": "rejected", "detail": str(refusal)}
        return {"instanceId": record.key, "status": "confirmed"}
