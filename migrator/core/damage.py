"""What spreadsheets do to cells that nobody has edited: found by comparing a cell with what was exported.

Opened and saved, a CSV file loses leading zeros, has long numbers rounded, dates and truth values written the local
way, letters read in the wrong encoding. None of that was meant, and most of it still says what was meant: then `meant`
has it. What is only unusual, such as curly quotes, is no damage: people mean them.

What belongs here: the value of one cell before and after. What must never: which cell that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from migrator.core.compare import same
from migrator.core.model import Json
from migrator.core.values import Fault, cell_value, exact_json, json_kind
from migrator.core.wide import SPREADSHEET_CELL, cell_of, units


class Damage(Struct, frozen=True):
    """What has happened to a cell.

    Attributes:
        what: the end of a sentence about it.
        meant: what most likely was to be there, `UNSET` if that cannot be told.
    """

    what: str
    meant: Json | UnsetType = UNSET


def damage(was: Json, cell: str) -> Damage | None:
    """Say what a spreadsheet has done to a cell, `None` if it has done nothing to it.

    Args:
        was: the value that was exported.
        cell: what is there now, not empty and not as it was exported.
    """
    if isinstance(was, str):
        return _of_text(was, cell)
    if isinstance(was, bool):
        return _of_truth(cell)
    if isinstance(was, int | float):
        return _of_number(was, cell)
    return _of_list(was, cell) if isinstance(was, list) else None


# Text


def _of_text(was: str, cell: str) -> Damage | None:
    value = cell_value(cell)
    text = value if isinstance(value, str) else cell
    # Of a date that became a number, nobody can say from here which date that is.
    meant = UNSET if _ISO.fullmatch(was) else cell
    return (
        _error(was, text)
        or _calendar(was, text)
        or _cut(was, text)
        or _digits(was, text)
        or _date(was, text)
        or _misread(was, text)
        or (None if isinstance(value, str | Fault | None) else _other_kind("a text", value, meant))
    )


_ERRORS = re.compile(
    r"#{2,}|#N/[AD]|#NV|#DIV/0!"
    r"|#[¡¿]?(?:NAME|NOM|NOMBRE|NOME|NAAM|REF|RIF|VERW|BEZUG|VALUE|VALEUR|VALOR|VALORE|WAARDE|WERT|NUM|ZAHL|GETAL|NULL)[!?]"
)


def _error(was: str, text: str) -> Damage | None:
    """A text that begins like a formula is calculated, and a column that is too narrow shows crosses."""
    return Damage("it has become an error of a spreadsheet", was) if _ERRORS.fullmatch(text) else None


_LIKE_A_DAY = re.compile(
    r"\d{1,2}([-/.])\d{1,2}(?:\1\d{2,4})?"
    r"|(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[^\W\d_]*[- ]?\d{1,2}",
    re.IGNORECASE,
)
_DAY = re.compile(r"\d{1,2}[-. ]{1,2}[^\W\d_]{3,9}\.?(?:[- ]\d{2,4})?|[^\W\d_]{3,9}\.?[- ]\d{2}|\d{4}-\d\d-\d\d")


def _calendar(was: str, text: str) -> Damage | None:
    """A text that looks like a day, such as a version or a code, is taken for that day."""
    if text != was and _LIKE_A_DAY.fullmatch(was) and _DAY.fullmatch(text) and not _LIKE_A_DAY.fullmatch(text):
        return Damage("it was taken for a day of the calendar", was)
    return None


def _cut(was: str, text: str) -> Damage | None:
    """A cell of a spreadsheet holds so much and no more."""
    if units(was) <= SPREADSHEET_CELL or units(text) != SPREADSHEET_CELL:
        return None
    return Damage(f"it is cut off after {SPREADSHEET_CELL:,} characters", was if was.startswith(text) else UNSET)


def _digits(was: str, text: str) -> Damage | None:
    if not (was.isascii() and was.isdecimal()):
        return None
    if len(text) < len(was) and was.lstrip("0") == text.lstrip("0"):
        return Damage("it has lost its leading zeros", was)
    return _rounded(was, text, was)


_SCIENTIFIC = re.compile(r"(-?\d)(?:[.,](\d+))?[eE]\+?(\d+)")
_LONG_DIGITS = 12
"""From so many digits on a spreadsheet shows a number as a power of ten."""

_EXACT_DIGITS = 15
"""What a spreadsheet keeps of a number; the digits behind become zeros."""


def _rounded(digits: str, text: str, meant: Json) -> Damage | None:
    """A long number is shown as a power of ten, and its last digits are lost."""
    sign, bare = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    found = _SCIENTIFIC.fullmatch(text) if len(bare) >= _LONG_DIGITS else None
    if found and int(found[3]) == len(bare) - 1:
        unit = 10 ** max(0, len(bare) - 1 - len(found[2] or ""))
        if abs(int(found[1] + (found[2] or "")) * unit - int(digits)) <= unit:
            return Damage("it is rounded to a power of ten", meant)
    if len(bare) > _EXACT_DIGITS and text == sign + bare[:_EXACT_DIGITS].ljust(len(bare), "0"):
        return Damage(f"its digits after the {_EXACT_DIGITS}th have become zeros", meant)
    return None


def _other_kind(before: str, value: Json, meant: Json | UnsetType = UNSET) -> Damage:
    return Damage(f"it was {before} and would become {json_kind(value)}", meant)


# Dates

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:([T ])(\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?")
_TIME = r"(?:,?[ T]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?(?:\s*(?P<half>[AaPp])[Mm])?)?"
_LOCAL = tuple(
    re.compile(pattern + _TIME + "Z?")
    for pattern in (
        r"(?P<one>\d{1,2})(?P<by>[./-])(?P<two>\d{1,2})(?P=by)(?P<year>\d{4}|\d\d)",
        r"(?P<year>\d{4})(?P<by>[./-])(?P<two>\d{1,2})(?P=by)(?P<one>\d{1,2})",
    )
)


def _date(was: str, text: str) -> Damage | None:
    iso = _ISO.fullmatch(was)
    if not iso or _form(text) == _form(was) or _is_instant(text):
        return None
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _LOCAL)), None)
    readings = set(_readings(found)) if found else set()
    if found is None or not readings:
        return None
    meant = {_spelled(iso, one, found) for one in readings}
    what = "its date is written in another way"
    if any(_same_wall(one, iso, found) for one in readings):
        return Damage(what, was)
    return Damage(what, meant.pop() if len(meant) == 1 else UNSET)


def _form(text: str) -> str:
    return re.sub(r"\d", "0", text)


def _is_instant(text: str) -> bool:
    found = _ISO.fullmatch(text)
    return bool(found and found[6])


def _readings(found: re.Match[str]) -> Iterator[datetime]:
    """Yield what a date may say: with slashes and dashes, nobody knows which of two numbers is the month."""
    one, two, year = int(found["one"]), int(found["two"]), int(found["year"])
    year += 2000 if year < 100 else 0
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] in "pP" else 0)
    settled = found["by"] == "." or (len(found["year"]) == 4 and found.start("year") == 0)
    for day, month in [(one, two)] if settled else [(one, two), (two, one)]:
        try:
            yield datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0))  # noqa: DTZ001
        except ValueError:
            continue


def _same_wall(one: datetime, iso: re.Match[str], found: re.Match[str]) -> bool:
    """Whether a reading is the exported date, as far as it is shown."""
    if f"{one:%Y-%m-%d}" != iso[1]:
        return False
    if found["hour"] is None:
        return True
    shown = f"{one:%H:%M:%S}" if found["second"] else f"{one:%H:%M}"
    return ((iso[3] or "00:00") + (iso[4] or ":00")).startswith(shown)


def _spelled(iso: re.Match[str], one: datetime, found: re.Match[str]) -> str:
    """Write a date as the exported one was written; where no time is shown, with the time that it had."""
    date = f"{one:%Y-%m-%d}"
    if not iso[2] or found["hour"] is None:
        return date + iso[0][len(iso[1]) :]
    seconds = f"{one:%S}" if found["second"] else "00"
    fraction = "." + "0" * (len(iso[5]) - 1) if iso[5] else ""
    return f"{date}{iso[2]}{one:%H:%M}{':' + seconds if iso[4] else ''}{fraction}{iso[6] or ''}"


# Letters

_CODECS = ("cp1252", "latin-1", "mac_roman")
_SUSPICIOUS = re.compile("[ÂÃÄÅ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|\ufffd")


def _misread(was: str, text: str) -> Damage | None:
    """UTF-8 was read as something else, or letters were written in an encoding that does not have them."""
    what = "its letters were read in the wrong encoding"
    if _SUSPICIOUS.search(text) and not _SUSPICIOUS.search(was):
        return Damage(what, next(_repaired(text), UNSET))
    if not was.isascii() and "?" in text and text != was and _with_marks(was).fullmatch(text):
        return Damage("letters have become question marks", was)
    return None


def _repaired(text: str) -> Iterator[str]:
    for codec in _CODECS:
        try:
            # Five octets have no letter in cp1252: spreadsheets let them be.
            octets = b"".join(
                chr(code).encode("latin-1") if (code := ord(one)) in _UNASSIGNED else one.encode(codec) for one in text
            )
            yield octets.decode()
        except UnicodeError:
            continue


_UNASSIGNED = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})


def _with_marks(was: str) -> re.Pattern[str]:
    return re.compile(
        "".join(re.escape(one) if one.isascii() else rf"(?:{re.escape(one)}|\?{{1,2}})" for one in was), re.DOTALL
    )


# Truth and numbers

_TRUTH = {
    True: {"true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda", "sant", "sand", "ja", "yes"},
    False: {"false", "falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "falsk", "nein", "no"},
}
_ENGLISH = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CONTINENTAL = re.compile(r"-?\d{1,3}(?:[.'’\u00a0\u202f ]\d{3})*(?:,\d+)?")


def _of_truth(cell: str) -> Damage | None:
    if cell in ("true", "false"):
        return None
    for truth, words in _TRUTH.items():
        if cell.strip().casefold() in words:
            return Damage(f"it is written as people say it, and not as {'true' if truth else 'false'}", truth)
    value = cell_value(cell)
    return None if isinstance(value, Fault | None) else _other_kind("true or false", value)


def _of_number(was: float, cell: str) -> Damage | None:
    if isinstance(was, int) and (found := _rounded(str(was), cell, was)):
        return found
    readings = list(_numbers(cell))
    if any(same(was, one) for one in readings):
        return Damage("its number is written in another way", was)
    value = cell_value(cell)
    if isinstance(value, bool | str | list | dict):
        if readings:
            return Damage("its number is written in another way", readings[0] if len(readings) == 1 else UNSET)
        return _other_kind("a number", value)
    return None


def _numbers(cell: str) -> Iterator[float]:
    """Yield what a number in a local spelling may say."""
    text = cell.strip()
    if _ENGLISH.fullmatch(text):
        yield _number(text.replace(",", ""))
    if _CONTINENTAL.fullmatch(text):
        yield _number(re.sub(r"[^\d,-]", "", text).replace(",", "."))


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _of_list(was: list[Json], cell: str) -> Damage | None:
    value = cell_value(cell)
    if not isinstance(value, list):
        return None if isinstance(value, Fault | None) else _other_kind("a list", value)
    found = _misread(cell_of(was) or "", cell)
    if found is None or not isinstance(found.meant, str):
        return found
    meant = exact_json(found.meant)
    return Damage(found.what, UNSET if isinstance(meant, Fault) else meant)
