"""Sources: a CSV or JSONL file becomes numbered rows, streamed.

What belongs here: octets, encodings, delimiters, quotes and lines. What must never: what a row means. A source asks
`core.columns` which names it should know and has `core.values` read its JSON. Nothing here holds more of the file than
one record.
"""

from __future__ import annotations

from migrator.sources.shape import InputShape
from migrator.sources.source import Source, open_source
from migrator.sources.writing import BUFFER, csv_writer, whole_file

__all__ = ["BUFFER", "InputShape", "Source", "csv_writer", "open_source", "whole_file"]
