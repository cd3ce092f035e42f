"""Change thousands of Adobe Journey Optimizer offers at once, safely.

What a program needs to do so is here, and is described in `migrator.library`; it is imported when it is first asked
for, so that `import migrator` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.library import (
        Choice,
        Decision,
        Entry,
        Input,
        InputError,
        InvalidRows,
        LedgerFailed,
        MigratorError,
        OutcomeRow,
        Outcomes,
        Problem,
        RunFolder,
        Runs,
        ServiceRefused,
        Settings,
        State,
        StepOutcome,
        Stopped,
        Summary,
        UsageError,
        apply,
        load,
        outcome_rows,
        plan,
        preview,
        resumed,
        retry,
        rollback,
        summarize,
        verify,
    )

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Decision",
    "Entry",
    "Input",
    "InputError",
    "InvalidRows",
    "LedgerFailed",
    "MigratorError",
    "OutcomeRow",
    "Outcomes",
    "Problem",
    "RunFolder",
    "Runs",
    "ServiceRefused",
    "Settings",
    "State",
    "StepOutcome",
    "Stopped",
    "Summary",
    "UsageError",
    "__version__",
    "apply",
    "load",
    "outcome_rows",
    "plan",
    "preview",
    "resumed",
    "retry",
    "rollback",
    "summarize",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("migrator.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
