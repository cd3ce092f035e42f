"""Change thousands of Adobe Journey Optimizer offers at once, safely."""

from __future__ import annotations

__version__ = "0.1.0"
