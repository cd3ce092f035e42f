"""What a run leaves for people and programs to read afterwards."""

from __future__ import annotations
