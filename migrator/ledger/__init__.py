"""The durable truth of a run: one SQLite file in the run's folder."""

from __future__ import annotations
