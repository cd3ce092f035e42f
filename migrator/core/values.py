"""Values: what stands in a cell or in a member, read exactly or refused with the reason.

What belongs here: JSON, the cells that may hold it, words (names, ids, and what a misspelt one was meant to be), sizes,
and the `Fault` that says what is wrong with any of them. What must never: a decision that depends on where the value
stands. Which columns there are is known to `columns`, which pointers to `patch`, what a row means to `rows`.

Two rules decide the doubtful cases:

* **Nothing is guessed.** A cell that looks like JSON and is none is refused with the spelling of the text it may be. A
  misspelt word is refused with the nearest known one, which is never put in its place.
* **Nothing is altered.** A value that would not come out again as it came in (a number with more digits than a double
  holds, an object with the same member twice) is refused.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from difflib import get_close_matches
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.model import Json, Problem

T = TypeVar("T")

MAX_OBJECT_BYTES = 300 * 1024
"""Size of the JSON text of one patch, create or content, in bytes, above which a row is refused: the greater of the
two documented maxima for an offer with its representations (`errors-and-limits.md` section 4: preflight fails)."""


class Fault(Struct, frozen=True):
    """What is wrong with a value, before it is known in which row it stands.

    Attributes:
        member: the column or member at fault (`id`, `op`, `patch[2].path`), or "" for the value as a whole.
        message: as in `Problem`.
        hint: as in `Problem`.
    """

    member: str
    message: str
    hint: str = ""

    def within(self, outer: str) -> Fault:
        """Name the member from further out: `op` within `patch[2]` is `patch[2].op`, and within "" still `op`."""
        return Fault(".".join(filter(None, (outer, self.member))), self.message, self.hint)

    def at(self, line: int) -> Problem:
        """Say on which line the value stands."""
        return Problem(line, self.member, self.message, self.hint)


MAX_NESTING = 100
"""Levels of lists and objects that a value may have. No object of the service has a tenth of them, and each level costs
whoever walks it a part of a stack that is not large."""


# --- JSON ------------------------------------------------------------------------------------------------------------

_NESTING = (dict, list)
_TOO_DEEP = "it is nested too deep"
_BYTE = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")


def json_kind(value: Json) -> str:
    """Name the kind of a JSON value in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def _exact_float(literal: str) -> float:
    """Read a number with a fraction or an exponent, refusing one that a double would change."""
    value = float(literal)
    try:
        exact = Decimal(repr(value)) == Decimal(literal)
    except ArithmeticError:  # an exponent beyond even Decimal
        exact = False
    if not exact:
        raise ValueError(f"the number {_shorten(literal)} would become {value!r}")
    return value


def exact_decoder(type_: type[T]) -> Callable[[str], T]:
    """Return what reads JSON as a type, refusing numbers that a double would change.

    What it reads is exact if besides `has_only` holds, and it is not nested too deep.
    """
    return msgspec.json.Decoder(type_, float_hook=_exact_float).decode


_decode = exact_decoder(object)


def exact_json(text: str) -> Json | Fault:
    """Read a JSON value that comes out again with the meaning it came in with.

    Integers are kept to the last of thousands of digits. A number that a double cannot hold, an object with the same
    member twice, `NaN` and `Infinity` are refused.

    Returns:
        The value, or the fault with the position where reading stopped.

    Raises:
        UnicodeEncodeError: if `text` holds a lone surrogate, which is how `sources` marks a byte it cannot decode.
    """
    try:
        value = _decode(text)
        if not is_surely_flat(text) and _is_nested_deeper(value, MAX_NESTING):
            return Fault("", _TOO_DEEP)
        if has_only(text, count_members(value)):
            return value
        return _doubled_member(text) or value
    except UnicodeEncodeError:
        raise
    except (ValueError, RecursionError) as error:
        return Fault("", _why_unreadable(text, error))


def is_surely_flat(text: str) -> bool:
    """Whether no value of JSON text can have more levels than it may."""
    return text.count("[") + text.count("{") <= MAX_NESTING


def has_only(text: str, members: int) -> bool:
    """Whether JSON text surely has not more than so many members: none twice that is counted once.

    Each member ends in `":` unless blanks stand before the colon, and text can only add to the count. So equal counts
    prove that nothing was dropped, for a tenth of the cost of looking at the pairs.
    """
    return text.count('":') == members and " :" not in text and not _has_rare_blank_before_colon(text)


def has_only_texts(text: str, texts: int) -> bool:
    """Whether JSON text surely has not more than so many texts: names of members, and values.

    Each has two quotes, to which what is escaped in it can only add. So nothing was dropped if they are all known, for
    less than `has_only` takes: but only where no text is in a value that was not counted.
    """
    return text.count('"') == 2 * texts


def _is_nested_deeper(value: Json, levels: int) -> bool:
    """Whether `value` has lists or objects inside of each other in more than so many levels."""
    level = [value]
    for _ in range(levels):
        nesting = [one for one in level if isinstance(one, _NESTING)]
        level = [child for one in nesting for child in (one.values() if isinstance(one, dict) else one)]
    return any(isinstance(one, _NESTING) for one in level)


def count_members(value: Json) -> int:
    """Count the members of all objects in `value`. Each line of a file comes here, so it is a loop and not a walk."""
    count, nested = 0, [value]
    for one in nested:
        children: Iterable[Json] = one
        if type(one) is dict:
            count += len(one)
            children = one.values()
        elif type(one) is not list:
            continue
        for child in children:
            if type(child) is dict or type(child) is list:
                nested.append(child)  # noqa: PERF401 - a comprehension costs more than the few elements of most
    return count


def _has_rare_blank_before_colon(text: str) -> bool:
    # A single character is looked for much faster than two.
    return ("\t" in text and "\t:" in text) or ("\r" in text and "\r:" in text) or ("\n" in text and "\n:" in text)


def _doubled_member(text: str) -> Fault | None:
    """Find a member that one object has twice; JSON readers would keep either of them."""
    doubled: list[str] = []

    def note(pairs: list[tuple[str, Json]]) -> None:
        doubled.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    json.loads(text, object_pairs_hook=note)
    return Fault("", f"the member '{doubled[0]}' stands twice in one object") if doubled else None


def _why_unreadable(text: str, error: Exception) -> str:
    """Put a decoder's complaint into words, its byte offset into a position that an editor shows."""
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    message = str(error)
    if message == "Input data was truncated":
        return "it ends too early"
    if found := _BYTE.fullmatch(message):
        before = text.encode()[: int(found[2])].decode(errors="ignore")
        return f"{found[1]} near character {len(before) + 1}"
    return message.partition(" - at `")[0]


# --- cells -----------------------------------------------------------------------------------------------------------

_JSON_BLANKS = " \t\n\r"
_BEGINS_LIKE_JSON = frozenset('{["tfn-0123456789' + _JSON_BLANKS)
_LIKE_JSON = re.compile(r'[{\["]|(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)\Z', re.ASCII)
_SHOWN = 48  # characters of a cell that a message repeats: an id is whole
_SHOWN_VALUE = 60  # characters of a value that it tells of


def cell_value(cell: str) -> Json | Fault:
    """Read a non-empty CSV cell that may hold JSON: what parses is JSON, everything else is text.

    Only a number, `true`, `false`, `null`, or something that begins like a JSON string, list or object can be JSON, so
    plain text costs no attempt to parse it, and most of it no more than a look at its first character.
    """
    if cell[0] not in _BEGINS_LIKE_JSON:
        return cell
    bare = cell.strip(_JSON_BLANKS)
    if not bare:
        return Fault("", "the cell holds only blanks", f"write {quote(cell)} to send them as text")
    if not _LIKE_JSON.match(bare):
        return cell
    value = exact_json(bare)
    if not isinstance(value, Fault):
        return value
    doubt = "looks like JSON but does not parse"
    return Fault("", f"{doubt}: {value.message}", f"to send it as text write it as a JSON string: {quote(cell)}")


def size_fault(member: str, body: Json) -> Fault | None:
    """Refuse what is larger as JSON than an object may be."""
    size = len(msgspec.json.encode(body))
    if size <= MAX_OBJECT_BYTES:
        return None
    message = f"has {size:,} bytes as JSON, more than the {MAX_OBJECT_BYTES:,} that an object may have"
    return Fault(member, message, "shorten it")


def quote(text: str) -> str:
    """Spell text as JSON, shortened for a message."""
    return msgspec.json.encode(_shorten(text)).decode()


def shown(value: Json | UnsetType) -> str:
    """Spell a value in a sentence: on one line, and short."""
    if value is UNSET:
        return "not there"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 1] + "…"


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Categories of characters that a terminal acts upon, or shows as a blank or not at all."""

_SEEN = frozenset(" \u200c\u200d")
"""Those of them that letters and emoji are put together with."""


def visible(text: str) -> str:
    """Spell out, as JSON does, the characters that a person would not see.

    What comes from an object or an input must not move the cursor, change colours or turn the line around; and that
    one blank became another is a difference that has to be seen.
    """
    if text.isprintable():
        return text
    return "".join(
        json.dumps(char)[1:-1] if char not in _SEEN and unicodedata.category(char) in _UNSEEN else char for char in text
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


# --- words -----------------------------------------------------------------------------------------------------------

_NEAR = 0.75  # one slip in a word of four letters still counts as near: "tpye" for "type"


def word_fault(member: str, word: Json) -> Fault | None:
    """Say what is wrong with a name or an id as people copy them: not text, blanks around, invisible characters."""
    if not isinstance(word, str):
        return Fault(member, f"must be text, not {json_kind(word)}", f'put it in quotes: "{member}": "…"')
    if not word:
        return Fault(member, f"the {member} is missing", f"fill in the {member}")
    if word != word.strip():
        return Fault(member, f"the {member} {quote(word)} begins or ends with a blank", "take the blank out")
    if not word.isprintable():
        found = next(c for c in word if not c.isprintable())
        message = f"the {member} {quote(word)} holds the invisible character U+{ord(found):04X}"
        return Fault(member, message, "type it anew, or paste it as plain text")
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """Find the known word that `word` was probably meant to be, or "" if it resembles none.

    Case and surrounding blanks count as no difference at all.
    """
    by_fold = {name.casefold(): name for name in known}
    bare = word.strip().casefold()
    if bare in by_fold:
        return by_fold[bare]
    close = get_close_matches(bare, by_fold, n=1, cutoff=_NEAR)
    return by_fold[close[0]] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Word the guess of `nearest` as a hint, or "" if there is none."""
    meant = nearest(word, known)
    return f"did you mean '{meant}'?" if meant else ""
