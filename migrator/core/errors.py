"""The exceptions of the program. Each ends something; an expected failure of one row is a value, never an exception.

::

    MigratorError                  carries its exit code, and what to type next
    ├── UsageError            2    the command, the settings or the environment are wrong; nothing was sent
    │   └── InputError        2    the input file as a whole cannot be used
    ├── ServiceRefused        5    the service refuses the run as a whole: credentials, permission, container gone
    ├── Stopped               6    a policy of ours, or the machine, stopped the run; it can be resumed
    │   └── LedgerFailed      6    the ledger cannot be written: nothing may be sent any more
    └── Interrupted     130/143    a signal stopped the run after a clean stop; it can be resumed
"""

from __future__ import annotations


class MigratorError(Exception):
    """The program ends here, with a paragraph for a person.

    Attributes:
        exit_code: the process's exit code (`design.md` section 7).
        hint: what to type or to change next; may be "".
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MigratorError):
    """The command line, the settings or the environment are wrong. Nothing was sent."""

    exit_code = 2


class InputError(UsageError):
    """The input file as a whole cannot be used: missing, binary, empty, of an unknown shape."""


class ServiceRefused(MigratorError):
    """The service refuses the run as a whole; sending the same again does not help."""

    exit_code = 5


class Stopped(MigratorError):
    """The run was stopped before its end and can be resumed."""

    exit_code = 6


class LedgerFailed(Stopped):
    """The ledger cannot be read or written, so no request may leave any more."""


class Interrupted(MigratorError):
    """A signal ended the run after everything in flight was answered and recorded."""

    def __init__(self, message: str, hint: str = "", *, signal_number: int = 2) -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number
