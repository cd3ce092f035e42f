"""Which headers can be read, and what is said about the others."""

from __future__ import annotations

import pytest

from migrator.core.columns import Shape, find_shapes, header_problems, is_known_column, line_faults


@pytest.mark.parametrize(
    ("header", "shape"),
    [
        ("container,type,id,op,path,value", Shape.OPERATIONS),
        ("id,op,path", Shape.OPERATIONS),
        ("container,type,id,op,path,value,from,ticket", Shape.OPERATIONS),
        ("container,type,id,/name,/rank/priority", Shape.MEMBERS),
        ("container,type,id,placement,language,content", Shape.TEXT),
        ("name,placement,language,content,was,owner", Shape.TEXT),
        ("_line,id,_state,op,path,value,_state", Shape.OPERATIONS),
        ("id,name,names,op,path,value", Shape.OPERATIONS),
        ("id,op,path,value,uid,oid", Shape.OPERATIONS),
        ("name,uid,placement,language,content", Shape.TEXT),
        ("id,placement,language,format,content", Shape.TEXT),
        ("id,op,path,value,format", Shape.OPERATIONS),
        ("id,/name,format", Shape.MEMBERS),
    ],
)
def test_a_good_header_has_one_shape_and_no_problem(header: str, shape: Shape) -> None:
    names = header.split(",")
    assert find_shapes(names) == [shape]
    assert header_problems(names) == []


@pytest.mark.parametrize(
    ("header", "column", "message", "hint"),
    [
        ("id,op,path,value,id", "id", "the column 'id' stands 2 times", "rename"),
        ("id,/name,/name", "/name", "the column '/name' stands 2 times", "rename"),
        ("id,op,path,value,", "", "column 5 of the header has no name", "delete the column"),
        ("containr,id,op,path", "containr", "'containr' is not known", "did you mean 'container'?"),
        ("id,op,path,vlaue", "vlaue", "'vlaue' is not known", "did you mean 'value'?"),
        ("ID,op,path,value", "ID", "'ID' is not known", "did you mean 'id'?"),
        ("id,op,path,value, type", " type", "' type' is not known", "did you mean 'type'?"),
        ("id,Id,op,path,value", "Id", "'Id' is not known", "did you mean 'id'?"),
        ("id,placement,language,contnet", "contnet", "'contnet' is not known", "did you mean 'content'?"),
        ("id,placement,language,content,wass", "wass", "'wass' is not known", "did you mean 'was'?"),
        ("id, /name,/status", " /name", "' /name' is not known", "did you mean '/name'?"),
        ("container,type,id", "", "fits none of the three shapes", "container,type,id,op,path,value"),
        ("alpha,beta", "", "fits none of the three shapes", "JSON Pointers such as /name"),
        ("id,op,path,/name", "", "mixes shapes: it has 'op' and '/name'", "placement,language,content"),
        ("id,/name,content,language,placement", "", "mixes shapes: it has '/name' and 'content'", ""),
        ("id,op,path,value,content", "", "mixes shapes", ""),
        ("op,path,value", "id", "the column 'id' is missing", "container,type,id"),
        ("id,op,value", "path", "the column 'path' is missing", ""),
        ("id,placement,content", "language", "the column 'language' is missing", ""),
        ("id,/a~2", "/a~2", "has a ~ at character 3", "~0"),
        ("id,/a/", "/a/", "has an empty part", "slash"),
    ],
)
def test_a_bad_header_is_one_problem_that_says_what_to_type(header: str, column: str, message: str, hint: str) -> None:
    [problem] = header_problems(header.split(","), line=3)
    assert (problem.line, problem.column) == (3, column)
    assert message in problem.message
    assert hint in problem.hint


def test_all_problems_of_a_header_come_at_once() -> None:
    found = {problem.column for problem in header_problems(["containr", "op", "op", "valu", ""])}
    assert found == {"containr", "op", "valu", "", "id", "path"}


@pytest.mark.parametrize(
    ("name", "known"), [("id", True), ("from", True), ("was", True), ("/x", True), ("_state", True), ("ticket", False)]
)
def test_a_column_of_any_shape_is_known(name: str, known: bool) -> None:
    assert is_known_column(name) is known


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ({"id", "pach"}, {"pach": "patch"}),
        ({"ID", "patch"}, {"ID": "id"}),
        ({"id", "patch", "Patch"}, {"Patch": "patch"}),
        ({"id", "delet"}, {"delet": "delete"}),
        ({"id", "patch", "delet"}, {}),
        ({"id", "patch", "ids", "_typ"}, {}),
        ({"create", "keys", "contaner"}, {"contaner": "container", "keys": "key"}),
    ],
)
def test_a_misspelt_member_of_a_line_is_told_with_what_it_was_meant_to_be(
    names: set[str], meant: dict[str, str]
) -> None:
    assert {fault.member: fault.hint for fault in line_faults(frozenset(names))} == {
        name: f"did you mean '{known}'?" for name, known in meant.items()
    }
