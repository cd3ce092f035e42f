"""The files in `config/` and `jobs/` are held to the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from migrator import api
from migrator.cli.jobs import read_job
from migrator.emulator import EmulatorSettings, read_config
from migrator.layers import SECRETS
from migrator.planning.draft import Input
from migrator.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEFAULTS = (ROOT / "config" / "default.toml").read_text(encoding="utf-8")
EMULATOR_CONFIGS = [ROOT / "config" / "rehearsal.toml"]
PROFILES = sorted(set((ROOT / "config").glob("*.toml")) - set(EMULATOR_CONFIGS))
SHOWN = [name for name in Settings.model_fields if name not in SECRETS]


def test_the_defaults_file_has_every_setting_with_its_default() -> None:
    given = tomllib.loads(DEFAULTS)
    without_default = {name for name in SHOWN if Settings.model_fields[name].default is None}

    assert set(given) | without_default == set(SHOWN)
    assert Settings(**given) == Settings()


def test_the_defaults_file_says_what_each_setting_means_in_the_words_of_the_code() -> None:
    said = dict(re.findall(r"^# (.*)\n(?:# )?(\w+) = ", DEFAULTS, re.MULTILINE))

    assert {name: text for text, name in said.items()} == {
        name: Settings.model_fields[name].description for name in SHOWN
    }


@pytest.mark.parametrize("path", EMULATOR_CONFIGS, ids=lambda path: path.name)
def test_every_emulator_config_is_one_and_serves_where_the_emulator_profile_looks(path: Path) -> None:
    settings = EmulatorSettings(**read_config(path))

    assert (
        load({}, profile=str(ROOT / "config" / "emulator.toml")).base_url == f"http://{settings.host}:{settings.port}"
    )
    assert settings.rules


def test_an_emulator_config_and_a_profile_are_not_taken_for_each_other() -> None:
    with pytest.raises(ValueError, match="is a profile of the client"):
        read_config(ROOT / "config" / "emulator.toml")


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_every_profile_can_be_loaded_and_holds_no_secret(path: Path) -> None:
    settings = load({}, profile=str(path))

    assert not any(getattr(settings, name).get_secret_value() for name in SECRETS)


MOVES = sorted((ROOT / "jobs").glob("move-*.toml"))
JOBS = sorted(set((ROOT / "jobs").glob("*.toml")) - set(MOVES))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_every_job_says_what_it_is_and_has_an_input_without_errors(path: Path) -> None:
    job = read_job(path)
    source = path.parent / job["input"]

    with api.validate(Input(source, source.name), load({"sandbox": "dev"}, job=job["settings"])) as draft:
        assert list(draft.problems()) == []
        assert draft.rows > 0
    assert job["description"]
