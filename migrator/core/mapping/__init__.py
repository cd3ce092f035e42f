"""The mapping xcore ↔ dps: objects and patches of one endpoint style, spelled in the other.

The tables (`tables`) say it member by member; everything else is made from them. Translations are values:
`Translated`, with reports of what is not quite the same, or `Refused`, with what stands in the way. Nothing is guessed,
and nothing is dropped without a report.
"""

from __future__ import annotations

from migrator.core.mapping.documents import translate_document
from migrator.core.mapping.losses import (
    ALLOWABLE,
    MEANINGS,
    NEVER_ALLOWED,
    Loss,
    Refused,
    Report,
    Severity,
    Translated,
    Translation,
)
from migrator.core.mapping.page import page
from migrator.core.mapping.patches import Carry, Setting, counterparts, setting, translate_operations
from migrator.core.mapping.shapes import DPS, XCORE, External
from migrator.core.mapping.walk import LEFT, UNKNOWN, Context, Known

__all__ = [
    "ALLOWABLE",
    "DPS",
    "LEFT",
    "MEANINGS",
    "NEVER_ALLOWED",
    "UNKNOWN",
    "XCORE",
    "Carry",
    "Context",
    "External",
    "Known",
    "Loss",
    "Refused",
    "Report",
    "Setting",
    "Severity",
    "Translated",
    "Translation",
    "counterparts",
    "page",
    "setting",
    "translate_document",
    "translate_operations",
]
