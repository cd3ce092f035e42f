"""The table of faults for people: `migrator emulator --list-faults`."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

from migrator.emulator.faults.kinds import ALL, COMMON, KINDS, PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.emulator.faults.kinds import Kind
    from migrator.emulator.faults.parameters import Parameter

_WIDTH = 100

_HEAD = """\
A rule is KIND[:METHOD[,METHOD]…][:key=value]…, for example:

  drop-after:PATCH:p=0.05          one answer to a PATCH in twenty is lost, the effect is not
  429:*:p=0.02:retry-after=1       one request in fifty is told to come back in a second
  expire-token:every=500           every 500th request finds its token expired
  late:PATCH:n=7:seconds=3         the 7th PATCH is dropped, and has its effect three seconds later
  gone:*:after=100:status=410      after 100 requests xcore is no more

Keys of every rule:
"""


def listing() -> str:
    """All faults with what they do and their keys, and how a rule is written."""
    lines = [*_HEAD.splitlines(), *_keys(COMMON, indent="  ")]
    for phase, kinds in groupby(KINDS.values(), key=lambda kind: kind.phase):
        lines += ["", f"{PHASES[phase]}:".capitalize(), *_entries(kinds)]
    return "\n".join(lines)


def _entries(kinds: Iterable[Kind]) -> Iterator[str]:
    before: Kind | None = None
    for kind in kinds:
        only = "" if kind.methods == ALL else f"  ({', '.join(kind.methods)})"
        yield f"  {kind.name:<20} {kind.says}{only}"
        if before is not None and kind.parameters and kind.parameters == before.parameters:
            yield f"      (keys as for {before.name})"
        else:
            yield from _keys(kind.parameters, indent="      ")
        before = kind


def _keys(parameters: Iterable[Parameter], indent: str) -> Iterator[str]:
    for one in parameters:
        options = f": {', '.join(one.options)}" if one.options else ""
        default = "" if one.default is None else f" [{one.default}]"
        hanging = " " * (len(indent) + 13)
        yield fill(
            f"{one.name:<12} {one.meaning}{options}{default}", _WIDTH, initial_indent=indent, subsequent_indent=hanging
        )
