"""What a plan says that is no row of an input: of the run itself, and of copies of objects that are elsewhere."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from migrator.core.states import State
from migrator.core.verdict import ErrorClass


class Origin(StrEnum):
    """What a run was made of that is no input: a member of its settings, which names it.

    That is an earlier run, a saved plan, or the endpoint style that a migration reads, with the command that began it.
    """

    RETRIES = "retries"
    ROLLS_BACK = "rolls_back"
    PLAN = "plan"
    MIGRATES = "migrates"
    COMMAND = "command"


class RunRecord(Struct, frozen=True):
    """What was asked: the `run` table's one row, member by column.

    Attributes:
        id: the run's id.
        created_at: seconds since the epoch.
        style: endpoint style.
        input: name of the input as it was given.
        input_sha256: of the decompressed bytes.
        shape: how the input was written, as JSON.
        fingerprint: of the plan.
        settings: what shapes requests, as JSON, without secrets; of a retry or a rollback also its `Origin`.
        rows: records of the input; of a retry those that are sent again, of a rollback those that are undone.
        steps: requests they became.
    """

    id: str
    created_at: float
    style: str
    input: str
    input_sha256: str
    shape: str
    fingerprint: str
    settings: str
    rows: int
    steps: int

    @property
    def retries(self) -> str | None:
        """The run whose failed rows this one sends again, or `None`."""
        return self._origin(Origin.RETRIES)

    @property
    def rolls_back(self) -> str | None:
        """The run that this one undoes, or `None`."""
        return self._origin(Origin.ROLLS_BACK)

    @property
    def plan(self) -> str | None:
        """The saved plan that this run carries out, or `None`."""
        return self._origin(Origin.PLAN)

    @property
    def migrates(self) -> str | None:
        """The endpoint style whose objects this run makes anew in its own, or `None`."""
        return self._origin(Origin.MIGRATES)

    @property
    def command(self) -> str | None:
        """What to type to migrate once more as this run does, or `None`."""
        return self._origin(Origin.COMMAND)

    def _origin(self, origin: Origin) -> str | None:
        run = msgspec.json.decode(self.settings).get(origin)
        return None if run is None else str(run)


class Settled(Struct, frozen=True):
    """How a step ends for which nothing is to be sent.

    Attributes:
        state: a final state.
        error: why, if it failed.
        message: the same in a sentence.
        object: id of the object that is there already.
        reference: id by which others refer to it.
    """

    state: State
    error: ErrorClass = ErrorClass.NONE
    message: str = ""
    object: str = ""
    reference: str = ""


class Source(Struct, frozen=True):
    """The object elsewhere of which a copy is made.

    Attributes:
        container: where it is.
        object: the id that its URL takes.
        reference: the id by which others refer to it there.
        etag: its version, or `None`.
    """

    container: str
    object: str
    reference: str
    etag: int | None
