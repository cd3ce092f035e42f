"""`migrator validate`: everything that is wrong with a file, at once, with the line it is on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MESSY = (
    'container,type,id,op,path,value,sku\r\n'  # line 1
    'c1,personalized-offer,0007,replace,/_instance/xdm:name,"Spring\r\nloan",01\r\n'  # 2-3, fine
    ',personalized-offer,o2,replace,/_instance/xdm:name,A,02\r\n'  # 4: no container
    'c1,coupon,o3,replace,/_instance/xdm:name,A,03\r\n'  # 5: unknown type
    'c1,personalized-offer,,replace,/_instance/xdm:name,A,04\r\n'  # 6: no id
    'c1,personalized-offer,o5,move,/_instance/xdm:name,A,05\r\n'  # 7: move
    'c1,personalized-offer,o6,replace,_instance/xdm:name,A,06\r\n'  # 8: no pointer
    'c1,personalized-offer,o7,replace,/_instance/xdm:rank,"{""a"": ",07\r\n'  # 9: broken JSON
    'c1,personalized-offer,o8,replace,/_instance/xdm:name,,08\r\n'  # 10: no value
    'c1,personalized-offer,0007,replace,/_instance/xdm:name,Winter loan,09\r\n'  # 11: contradicts 2
    'c1,personalized-offer,o9,replace\r\n'  # 12: too few cells
    'c1,personalized-offer,..,remove,/_instance/a,,10\r\n'  # 13: no id, but a step in a path
    'c1,personalized-offer,xcore:personalized-offer:12,remove,/_instance/a,,11\r\n'  # 14, an @id: fine
)  # fmt: skip


@pytest.fixture
def messy(migrator: Any) -> Path:
    path: Path = migrator.folder / "messy.csv"
    path.write_bytes(b"\xef\xbb\xbf" + MESSY.encode())
    return path


async def test_every_error_is_listed_with_its_physical_line_and_column(migrator: Any, messy: Path) -> None:
    ended = await migrator("validate", messy.name, "--style", "xcore")

    assert ended.code == 2
    *problems, total = ended.out.splitlines()
    places = [tuple(line.split(": ")[:2]) for line in problems]
    assert places == [
        ("messy.csv:4", "container"),
        ("messy.csv:5", "type"),
        ("messy.csv:6", "id"),
        ("messy.csv:7", "op"),
        ("messy.csv:8", "path"),
        ("messy.csv:9", "value"),
        ("messy.csv:10", "value"),
        ("messy.csv:11", "path"),
        *[tuple(line.split(": ")[:2]) for line in problems[8:9]],
        ("messy.csv:13", "id"),
    ]
    assert problems[8].startswith("messy.csv:12:")
    assert "contradicts line 2" in problems[7]
    assert total.startswith("messy.csv: 10 problems in ")


async def test_a_program_reads_the_same_as_json_lines(migrator: Any, messy: Path) -> None:
    ended = await migrator("validate", messy.name, "--style", "xcore", "--output", "json")

    *problems, total = [json.loads(line) for line in ended.out.splitlines()]
    assert [problem["line"] for problem in problems] == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert {problem["event"] for problem in problems} == {"problem"}
    assert {problem["column"] for problem in problems if not problem["hint"]} <= {"type", "id"}
    assert (total["event"], total["problems"]) == ("invalid", 10)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"id,op,path,value\n", "no rows"),
        ("binary.csv", b"id\x00\x01\x02", "NUL bytes"),
        ("book.xlsx", b"PK\x03\x04rest", "Excel"),
        ("wide.csv", "id,op,path,value\na,remove,/b,\n".encode("utf-16"), "--encoding utf-16"),
    ],
)
async def test_a_file_that_cannot_be_used_is_explained(migrator: Any, name: str, content: bytes, said: str) -> None:
    (migrator.folder / name).write_bytes(content)

    ended = await migrator("validate", name)

    assert ended.code == 2
    assert said in ended.out + ended.err
    assert "Traceback" not in ended.err


async def test_a_file_that_is_not_there_and_a_folder_are_explained(migrator: Any) -> None:
    missing, folder = await migrator("validate", "nothing.csv"), await migrator("validate", ".")

    assert (missing.code, folder.code) == (2, 2)
    assert "there is no file nothing.csv" in missing.err
    assert "is a directory" in folder.err


async def test_latin_1_is_found_row_by_row_and_can_be_asked_for(migrator: Any) -> None:
    text = "id,op,path,value\no1,replace,/name,plain\no2,replace,/name,été\no3,replace,/name,blé\n"
    (migrator.folder / "latin.csv").write_bytes(text.encode("latin-1"))

    refused = await migrator("validate", "latin.csv")
    asked = await migrator("validate", "latin.csv", "--encoding", "latin-1")

    assert refused.code == 2
    assert [line.split(":")[1] for line in refused.out.splitlines()[:-1]] == ["3", "4"]
    assert asked.code == 0


async def test_a_cell_of_five_megabytes_is_read_and_refused_as_too_large(migrator: Any) -> None:
    path = migrator.folder / "large.csv"
    path.write_text("id,op,path,value\no1,replace,/description," + "x" * 5_000_000 + "\no2,remove,/a,\n")

    ended = await migrator("validate", "large.csv")

    assert ended.code == 2
    (problem, _) = ended.out.splitlines()
    assert problem.startswith("large.csv:2: value:")
    assert len(problem) < 500


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_the_delimiter_is_found(migrator: Any, delimiter: str) -> None:
    rows = [("id", "op", "path", "value", "note"), ("007", "replace", "/name", "a,b;c|d", "x")]
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in rows]
    (migrator.folder / "c.csv").write_text("\n".join(lines))

    ended = await migrator("validate", "c.csv")

    assert ended.code == 0, ended.out


async def test_an_unknown_command_or_option_is_a_usage_error(migrator: Any) -> None:
    assert (await migrator("aply", "c.csv")).code == 2
    assert (await migrator("validate", "c.csv", "--colour")).code == 2


async def test_validate_needs_no_configuration(migrator: Any) -> None:
    (migrator.folder / "c.jsonl").write_text('{"id": "o1", "delete": true}\n')

    ended = await migrator("validate", "c.jsonl")

    assert ended.code == 0
    assert ended.out == "c.jsonl: 1 row checked: 1 request to 1 container\n"
