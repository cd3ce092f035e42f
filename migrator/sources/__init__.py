"""Sources: a CSV or JSONL file becomes numbered rows, streamed.

What belongs here: octets, encodings, delimiters, quotes and lines. What must never: what a row means; a source asks
`core.rows` which names it should know and nothing else. Nothing here holds more of the file than one record.
"""

from __future__ import annotations

from migrator.sources.shape import InputShape
from migrator.sources.source import Source, open_source

__all__ = ["InputShape", "Source", "open_source"]
