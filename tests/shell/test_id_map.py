"""The id map: read from a file for a direction, and what is said of a file that cannot be one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from migrator.core.errors import InputError
from migrator.core.mapping import DPS, XCORE
from migrator.translating import read_id_map


def write(folder: Path, text: str) -> Path:
    path = folder / "ids.csv"
    path.write_text(text)
    return path


def test_an_id_map_is_read_for_a_direction(tmp_path: Path) -> None:
    path = write(tmp_path, "note,dps,xcore,type,instance_id\nx,d1,x1,tag,i1\ny,m1,a1,ai-model,\nz,,x2,tag,\n")

    there, back = read_id_map(path, DPS), read_id_map(path, XCORE)

    assert [there.finder("tag", "c")(id_) for id_ in ("x1", "i1", "x2", "d1")] == ["d1", "d1", None, None]
    assert there.resolver("")("ai-model", "a1") == "m1"
    assert back.resolver("")("tag", "d1") == "x1"
    assert [home.id for home in back.homes("tag", "d1", "")] == ["i1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("type,xcore\ntag,x\n", "has no column dps"),
        ("type,xcore,dps\ntgs,x,d\n", r"ids.csv:2: type: 'tgs' is not a type"),
        ("type,xcore,dps\ntag,x,d\n\ntag,x,e\n", r"ids.csv:4: contradicts the map: x is d on a line before"),
        ("type,xcore,dps\ntag, x,d\n", "begins or ends with a blank"),
        ("type,xcore,dps\ntag,x\n", "ids.csv:2: has 2 cells, the header 3"),
        ('type,xcore,dps\ntag,"x,d\n', "a quote opens here"),
        ("type,xcore,dps\n" + "no,x,d\n" * 12, "and 2 more"),
    ],
)
def test_a_bad_id_map_is_explained_line_by_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_id_map(write(tmp_path, text), DPS)


def test_an_id_map_may_be_packed(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv.gz"
    path.write_bytes(gzip.compress(b"type;xcore;dps\ntag;x1;d1\n"))

    assert read_id_map(path, DPS).resolver("")("tag", "x1") == "d1"


def test_a_missing_id_map_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_id_map(tmp_path / "nothing.csv", DPS)
