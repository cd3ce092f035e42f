"""The endpoint styles, by the name that settings use."""

from __future__ import annotations

from collections.abc import Mapping

from migrator.core.styles.base import METHODS, PatchRules, Query, Style, TextNames
from migrator.core.styles.dps import Dps
from migrator.core.styles.xcore import Xcore

XCORE: Style = Xcore()
DPS: Style = Dps()

STYLES: Mapping[str, Style] = {style.name: style for style in (XCORE, DPS)}

__all__ = ["DPS", "METHODS", "STYLES", "XCORE", "PatchRules", "Query", "Style", "TextNames"]
