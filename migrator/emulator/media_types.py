"""Media types: a type and its parameters, never compared as strings (contract 3.2).

Values may be quoted and then contain ``;``, which xcore's ``schema="…;version=0.5"`` relies on; blanks around ``;``
mean nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ESSENCE = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER = re.compile(rf';\s*(?:({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)"))?\s*')
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_DOUBLING = re.compile(r"\s*content-type:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A parsed media type.

    Attributes:
        essence: type and subtype in lower case, such as ``application/json``.
        parameters: values without their quotes, by lower-case name.
    """

    essence: str
    parameters: dict[str, str]


@lru_cache(maxsize=256)
def parse(text: str) -> MediaType | None:
    """Read a media type; None when the text is not one. Clients send the same few over and over."""
    essence = _ESSENCE.match(text)
    if essence is None:
        return None
    parameters = _parse_parameters(text, essence.end())
    return None if parameters is None else MediaType(essence[1].lower(), parameters)


def split(text: str) -> list[str]:
    """The parts of a list of media ranges; a comma inside quotes parts nothing."""
    return [part.strip() for part in _COMMA.split(text)]


def undouble(text: str) -> str:
    """Take a leading ``Content-Type:`` off a value, which the xcore offer update page prints (C-05)."""
    return _DOUBLING.sub("", text, count=1) if _DOUBLING.match(text) else text


def _parse_parameters(text: str, position: int) -> dict[str, str] | None:
    parameters = {}
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            return None
        name, bare, quoted = found.groups()
        if name is not None:
            parameters[name.lower()] = bare if bare is not None else re.sub(r"\\(.)", r"\1", quoted)
        position = found.end()
    return parameters
