"""The table of faults for people: `migrator emulator --list-faults`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from migrator.emulator.faults.kinds import ALL, COMMON, KINDS, PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.emulator.faults.kinds import Kind
    from migrator.emulator.faults.parameters import Parameter

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
    lines = [*_HEAD.splitlines(), *_keys(COMMON)]
    for phase, kinds in groupby(KINDS.values(), key=lambda kind: kind.phase):
        lines += ["", f"{PHASES[phase]}:".capitalize(), *(line for kind in kinds for line in _entry(kind))]
    return "\n".join(lines)


def _entry(kind: Kind) -> Iterator[str]:
    only = "" if kind.methods == ALL else f"  [{', '.join(kind.methods)}]"
    yield f"  {kind.name:<20} {kind.says}{only}"
    yield from (f"    {line}" for line in _keys(kind.parameters))


def _keys(parameters: Iterable[Parameter]) -> Iterator[str]:
    for one in parameters:
        default = "" if one.default is None else f" [{one.default}]"
        yield f"  {one.name:<12} {one.meaning}{default}"
