"""What one look has found."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from migrator.core.errors import MigratorError, UsageError


class Grade(StrEnum):
    """How it is with what was looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Struct, frozen=True):
    """What one look has found.

    Attributes:
        check: one word for what was looked at.
        grade: how it is with it.
        message: what was found, in a sentence.
        hint: what to do about it; "" if nothing.
        details: names and values that belong to it.
        exit_code: of the command: 0 unless it fails, 2 for what is wrong on our side, 5 for a service that refuses, 6
            for one that does not answer now.
    """

    check: str
    grade: Grade
    message: str
    hint: str = ""
    details: Mapping[str, str] = {}
    exit_code: int = 0


def ok(check: str, message: str, **details: str) -> Finding:
    """All is well."""
    return Finding(check, Grade.OK, message, details=details)


def warn(check: str, message: str, hint: str) -> Finding:
    """A run would work, and may be harmed by it."""
    return Finding(check, Grade.WARN, message, hint)


def fail(check: str, error: MigratorError) -> Finding:
    """A run would not work, for what is wrong on our side."""
    return Finding(check, Grade.FAIL, str(error), error.hint, exit_code=UsageError.exit_code)
