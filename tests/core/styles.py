"""The two endpoint styles, for tests that hold in either."""

from __future__ import annotations

import pytest

from migrator.core.styles import DPS, XCORE

BOTH = [DPS, XCORE]
STYLES = pytest.mark.parametrize("style", BOTH, ids=["dps", "xcore"])
