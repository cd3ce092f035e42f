"""The ledger of a run that is measured: the real one, one without intents, and how far either is behind."""

from __future__ import annotations

import math
import time

from migrator.ledger.recorder import Batch
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Outcome


class WatchedLedger(RunLedger):
    """The real ledger, which notes how far it is behind.

    Attributes:
        worst_rows: records that were not on the disk, at the most.
        worst_s: seconds from the first record of a commit to its end, at the most.
        slower_s: seconds that each commit takes more than it does here.
    """

    worst_rows = 0
    worst_s = 0.0
    slower_s = 0.0

    def _write_batch(self, batch: Batch, expires_at: float) -> None:
        super()._write_batch(batch, expires_at)
        if not batch.begun or not expires_at:  # the last one, of which nobody waits for anything
            return
        time.sleep(self.slower_s)
        began_at = batch.good_until - self._good_s
        kind = WatchedLedger
        kind.worst_rows = max(kind.worst_rows, _rows(batch) + _rows(self._batch))
        kind.worst_s = max(kind.worst_s, self._monotonic() - began_at)


def _rows(batch: Batch) -> int:
    return len(batch.outcomes) + len(batch.bases) + len(batch.dismissals) + len(batch.intents)


class OutcomesAlone(WatchedLedger):
    """A ledger without intents, which writes what became of a step and nothing before: nobody ever waits for it."""

    def _open(self) -> None:
        super()._open()
        self._db.execute("DROP TRIGGER progress_begins")  # which wants an intent before an outcome
        self._at_once = Batch(lambda: None)
        self._at_once.good_until = math.inf
        self._at_once.end(None)

    def intend(self, intent: Intent) -> Batch:
        """Write nothing."""
        del intent
        return self._at_once

    def record(self, outcome: Outcome) -> None:
        """Write a row where the real one completes that of the intent."""
        self.dismiss(outcome)
