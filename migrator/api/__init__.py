"""The program as a library, and the only place where its parts are wired together.

Programs use `migrator.library`, which puts these together; the command line uses them one by one, to show and to ask
between them. A run is planned (`plan`, `look_up`, and the draft is accepted) and then executed (`execute`); to resume
is to execute it with the settings that `resumed` gives back. How it is done is in

* `target`: where a run goes, and that the rest of it goes there too.
* `service`: the way to the service.
* `planning`: inputs checked and planned.
* `saved`: plans that are kept to be looked at.
* `following`: runs that take up steps of an earlier one: retries and rollbacks.
* `executing`: runs carried out.
* `verifying`: what runs have written read back.
* `migrating`: both ends of a migration read, planned, and compared.
* `exporting`: objects read to be written to files.
* `diagnosing`: whether a run would work.
"""

from __future__ import annotations

from migrator.api.diagnosing import diagnose
from migrator.api.executing import LEASE_TIMEOUTS, Around, Running, Work, execute
from migrator.api.exporting import export
from migrator.api.following import accept_after, earlier_retry, earlier_rollback, retry, rollback
from migrator.api.migrating import compare, migrate, new_spools, read_both
from migrator.api.planning import (
    earlier_run,
    look_up,
    plan,
    preview,
    refuse_other_sandboxes,
    refuse_too_many,
    scratch,
    validate,
)
from migrator.api.saved import plan_target, planned, save_plan
from migrator.api.target import check_same_input, resumed
from migrator.api.verifying import verify
from migrator.engine import Decide, Decision, Verification
from migrator.ledger.conditions import applied
from migrator.ledger.reading import Summary
from migrator.ledger.records import Origin
from migrator.planning.draft import Draft, Input
from migrator.ports import Choice
from migrator.settings import Settings, load

__all__ = [
    "LEASE_TIMEOUTS",
    "Around",
    "Choice",
    "Decide",
    "Decision",
    "Draft",
    "Input",
    "Origin",
    "Running",
    "Settings",
    "Summary",
    "Verification",
    "Work",
    "accept_after",
    "applied",
    "check_same_input",
    "compare",
    "diagnose",
    "earlier_retry",
    "earlier_rollback",
    "earlier_run",
    "execute",
    "export",
    "load",
    "look_up",
    "migrate",
    "new_spools",
    "plan",
    "plan_target",
    "planned",
    "preview",
    "read_both",
    "refuse_other_sandboxes",
    "refuse_too_many",
    "resumed",
    "retry",
    "rollback",
    "save_plan",
    "scratch",
    "validate",
    "verify",
]
