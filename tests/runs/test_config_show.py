"""`migrator config show`: each value and where it is from."""

from __future__ import annotations

import json
from typing import Any

from migrator.settings import Settings


def said(out: str) -> dict[str, tuple[str, str]]:
    return {line["name"]: (line["value"], line["origin"]) for line in map(json.loads, out.splitlines())}


async def test_every_setting_is_shown_with_its_origin_and_no_secret(migrator: Any) -> None:
    (migrator.folder / "config").mkdir()
    (migrator.folder / "config" / "mine.toml").write_text("concurrency = 8\nguard = false")
    (migrator.folder / "job.toml").write_text('input = "x.csv"\n[settings]\nstyle = "xcore"')
    migrator.environment = {"MIGRATOR_SANDBOX": "dev", "MIGRATOR_CLIENT_SECRET": "needle"}

    ended = await migrator("config", "show", "job.toml", "--profile", "mine", "--rate", "2/s", "--output", "json")

    shown = said(ended.out)
    assert ended.code == 0
    assert set(shown) == set(Settings.model_fields)
    assert {name: shown[name] for name in ("rate", "sandbox", "style", "concurrency", "guard", "timeout")} == {
        "rate": ("2.0", "flag --rate"),
        "sandbox": ("dev", "environment MIGRATOR_SANDBOX"),
        "style": ("xcore", "job file job.toml"),
        "concurrency": ("8", "profile config/mine.toml"),
        "guard": ("false", "profile config/mine.toml"),
        "timeout": ("75.0", "default"),
    }
    assert shown["client_secret"] == ("set", "environment MIGRATOR_CLIENT_SECRET")
    assert "needle" not in ended.out


async def test_a_person_sees_what_is_not_a_default(migrator: Any) -> None:
    migrator.environment = {"MIGRATOR_SANDBOX": "dev"}

    ended = await migrator("config", "show", "--changed", "--origin")

    shown = [line.split() for line in ended.out.splitlines() if not line.startswith("event_loop ")]  # as tests have it
    assert shown == [["sandbox", "dev", "environment", "MIGRATOR_SANDBOX"]]


async def test_wrong_settings_are_an_error_with_all_of_them(migrator: Any) -> None:
    migrator.environment = {"MIGRATOR_RATE": "fast", "MIGRATOR_STYLE": "old"}

    ended = await migrator("config", "show")

    assert ended.code == 2
    assert "MIGRATOR_RATE" in ended.err
    assert "MIGRATOR_STYLE" in ended.err
