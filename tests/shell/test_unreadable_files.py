"""Files that are refused as a whole, with what to do about it; and encodings, named or not."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from migrator.core.errors import InputError
from migrator.sources import octets as octets_module
from migrator.sources import open_source
from tests.shell.inputs import CELLS, HEADER, ROW, Write, problem_of, read


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", "write a header"),
        (b"\xef\xbb\xbf", "has no rows", "write a header and a row"),
        (b"\n \r\n\t\n", "has no rows", "write a header and a row"),
        (HEADER.encode(), "has no rows", "write a header and a row"),
        (HEADER.encode() + b"\n\n,,,,,\n", "has no rows", "write a header and a row"),
        (gzip.compress(b"", mtime=0), "is empty", ""),
        (b"id,op\0,path\n", "holds NUL bytes: it is not a text file", "--encoding utf-16"),
        (b"PK\x03\x04\x14\x00", "is an Excel workbook", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook", "save it as CSV"),
        (b"\x28\xb5\x2f\xfd12", "is packed with zstd", "gzip"),
        (HEADER.encode("utf-16-le").join([b"\xff\xfe", b""]), "is UTF-16", "--encoding utf-16"),
        (HEADER.encode("utf-16-be").join([b"\xfe\xff", b""]), "is UTF-16", "--encoding utf-16"),
        (HEADER.encode("utf-16-le"), "holds NUL bytes", "--encoding utf-16"),
        (gzip.compress(HEADER.encode() * 99, mtime=0)[:-9], "cannot be read to its end", "make the file again"),
        (gzip.compress(HEADER.encode(), mtime=0)[:9] + b"xxxxxxxxx", "cannot be read to its end", ""),
    ],
)
@pytest.mark.parametrize("name", ["offers.csv", "offers.jsonl"])
def test_a_file_that_is_not_one_is_refused_as_a_whole(
    write: Write, content: str | bytes, message: str, hint: str, name: str
) -> None:
    path = write(content, name)
    with pytest.raises(InputError) as caught:
        read(path, format="csv")
    assert str(caught.value).startswith(f"{path} ")
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("content", "hint"),
    [('[{"id": "1"}]', "jq -c '.[]'"), ('[\n{"id": "1"}\n]', "jq -c '.[]'"), ('{\n  "id": "1"\n}', "jq -c . ")],
)
def test_json_that_is_not_jsonl_is_refused_with_the_command_that_converts_it(
    write: Write, content: str | bytes, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(write(content, "offers.json"))
    assert hint in caught.value.hint


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*missing\.csv"):
        open_source(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="is a directory"):
        open_source(tmp_path)


def test_a_file_without_permission_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(HEADER)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, as whom tests may run, is never refused

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        open_source(path)


def test_a_file_that_breaks_off_late_in_its_gzip_is_refused_there(write: Write) -> None:
    packed = gzip.compress(os.urandom(150_000).hex().encode().join([f"{HEADER}\n{ROW}\n".encode(), b"\n"]))
    with open_source(write(packed[:-20_000], "a.csv.gz")) as source, pytest.raises(InputError, match="to its end"):
        list(source)


@pytest.mark.parametrize("given", ["", ",,", '"', "\n"])
def test_a_delimiter_that_cannot_be_one_is_refused(write: Write, given: str) -> None:
    with pytest.raises(InputError, match="cannot be a delimiter"):
        open_source(write(HEADER), delimiter=given)


def test_an_unknown_format_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match="'xml' is not a format"):
        open_source(write(HEADER), format="xml")


@pytest.mark.parametrize("encoding", ["utf8000", "hex"])
def test_an_unknown_encoding_is_refused(write: Write, encoding: str) -> None:
    with pytest.raises(InputError, match=f"there is no encoding '{encoding}'"):
        open_source(write(HEADER), encoding=encoding)


def test_a_line_without_end_is_refused_before_it_takes_the_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(octets_module, "MAX_LINE", 100_000)
    path = write(f"{HEADER}\n{'x' * 200_000}\n")
    with open_source(path) as source, pytest.raises(InputError, match="has a line of more than"):
        list(source)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_other_encodings_are_read_when_named(write: Write, encoding: str) -> None:
    [row] = read(write(f"{HEADER}\n{ROW}é\n".encode(encoding)), encoding=encoding)
    assert row.cells["value"] == "Springé"


def test_a_byte_order_mark_is_no_part_of_the_first_column_however_utf8_is_spelt(write: Write) -> None:
    [row] = read(write(f"{HEADER}\n{ROW}\n".encode("utf-8-sig")), encoding="utf8")
    assert row.cells == CELLS


def test_latin_1_bytes_are_told_by_row_and_column_and_the_other_rows_are_read(write: Write) -> None:
    text = f"{HEADER}\n{ROW}\n1,tag,é,remove,/x,Fü\n{ROW}\n"
    first, accent, umlaut, last = read(write(text.encode("latin-1")))
    assert (first.line, last.line) == (2, 4)
    assert (accent.line, accent.column) == (3, "id")
    assert accent.message == "the byte 0xE9 at character 1 is not utf-8-sig"
    assert (umlaut.line, umlaut.column) == (3, "value")
    assert umlaut.message.startswith("the byte 0xFC at character 2")
    assert "--encoding latin-1" in umlaut.hint


def test_latin_1_bytes_in_jsonl_are_told_by_line(write: Write) -> None:
    problem, row = read(write('{"id":"é"}\n{"id":"2"}\n'.encode("latin-1"), "a.jsonl"))
    assert (problem.line, problem.message) == (1, "the byte 0xE9 at character 8 is not utf-8-sig")
    assert row.cells == {"id": "2"}


def test_latin_1_bytes_in_the_header_end_the_reading(write: Write) -> None:
    problem = problem_of(write("id,op,path,größe\n1,remove,/x,y\n".encode("latin-1")))
    assert (problem.line, "0xF6" in problem.message) == (1, True)


def test_a_file_that_is_not_of_the_named_encoding_at_all_is_refused(write: Write) -> None:
    path = write(f"{HEADER}\n{ROW}\n".encode("utf-16")[:-1])
    with open_source(path, encoding="utf-16") as source, pytest.raises(InputError, match="is not utf-16"):
        list(source)
