"""Change files in the other style: read, translated line by line, written in the same shape.

What belongs here: files, the id map, and which cell of a line holds what. What must never: how a member is spelled,
which is a matter of `core.mapping`; a request, for all of this is done offline.
"""

from __future__ import annotations

from migrator.translating.files import Tally, translate_file
from migrator.translating.idmap import IdMap, read_id_map
from migrator.translating.lines import INPUT, Line, Told, Translator
from migrator.translating.places import Way

__all__ = ["INPUT", "IdMap", "Line", "Tally", "Told", "Translator", "Way", "read_id_map", "translate_file"]
