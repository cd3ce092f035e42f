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

_WIDTH = 80

_HEAD = """\
A rule is KIND[:METHOD[,METHOD]…][:key=value]…, for example:

  drop-after:PATCH:p=0.05      one in twenty answers is lost, not its effect
  429:*:p=0.02:retry-after=1   one request in fifty is told to wait for a second
  expire-token:every=500       every 500th request finds its token expired
  late:PATCH:n=7:seconds=3     the 7th PATCH is dropped, and done 3 s later
  gone:*:after=100:status=410  after 100 requests xcore is no more

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
        yield _filled(f"  {kind.name:<20} ", f"{kind.says}{only}")
        if before is not None and kind.parameters and kind.parameters == before.parameters:
            yield f"      (keys as for {before.name})"
        else:
            yield from _keys(kind.parameters, indent="      ")
        before = kind


def _keys(parameters: Iterable[Parameter], indent: str) -> Iterator[str]:
    for one in parameters:
        options = f": {', '.join(one.options)}" if one.options else ""
        default = "" if one.default is None else f" [{one.default}]"
        yield _filled(f"{indent}{one.name:<12} ", f"{one.meaning}{options}{default}")


def _filled(head: str, text: str) -> str:
    """Text behind a head, in lines that begin below each other."""
    return fill(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
