"""Settings from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import Choices, EmulatorSettings, FaultRule, parse_config, read_config

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
port = 8400
rate = 50
sandboxes = ["dev", "stage"]
retry_after = "date"
fault_seed = 3

[[faults]]
kind = "drop-after"
methods = ["POST", "PATCH"]
p = 0.05

[[faults]]
kind = "429"
retry-after = 1
"""


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(FILE, encoding="utf-8")
    assert EmulatorSettings(**read_config(tmp_path / "c.toml")) == EmulatorSettings(
        port=8400,
        rate=50,
        sandboxes=("dev", "stage"),
        retry_after="date",
        fault_seed=3,
        faults=(FaultRule.parse("drop-after:POST,PATCH:p=0.05"), FaultRule.parse("429:*:retry-after=1")),
    )


def test_rules_can_be_a_list_of_texts() -> None:
    assert parse_config({"faults": ["late:PATCH"]}) == {"faults": (FaultRule.parse("late:PATCH"),)}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"sed_offers": 1}, r"no setting 'sed_offers' \(did you mean seed_offers\?\); there are host, port, "),
        ({"port": "8399"}, r"port: Expected `int`, got `str`"),
        ({"retry_after": "soon"}, r"retry_after: Invalid enum value 'soon'"),
        ({"faults": {"kind": "429"}}, r"faults are \[\[faults\]\] tables"),
        ({"faults": [{"kind": "4299"}]}, r"no kind '4299' \(did you mean 429\?\)"),
        ({"faults": [{"kind": "429", "prob": 1}]}, r"429 has no 'prob' \(did you mean p\?\)"),
    ],
)
def test_what_a_file_cannot_say_is_told_what_it_could(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_config(given)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("port: 8400", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.toml is not TOML: "):
        read_config(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("prot = 8400", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.toml: there is no setting 'prot' \(did you mean port\?\)"):
        read_config(tmp_path / "c.toml")


def test_choices_are_a_table_by_id_or_by_name() -> None:
    given = parse_config({"choices": {"C-16": 412, "page-size": "cap:20", "create_status": "200"}})
    assert given == {"choices": Choices(failed_test="412", page_size="cap:20", create_status="200")}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("C-16=412", r"choices are a \[choices\] table"),
        ({"C-16": 418}, r"C-16 \(failed_test\) cannot be '418'; it can be 409 or 412"),
        ({"C-99": "x"}, r"there is no choice 'C-99'; the nearest is "),
        ({"C-16": 412, "failed-test": 409}, r"C-16 \(failed_test\) is chosen twice"),
    ],
)
def test_a_choice_that_cannot_be_made_is_explained(given: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_config({"choices": given})
