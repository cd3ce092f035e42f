"""Settings: which layer wins, what is refused, and that secrets stay where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import UsageError
from migrator.core.pacing import Range
from migrator.settings import Settings, duration_s, load, rate_per_s, require_target

COMPLETE = {"org_id": "o@AdobeOrg", "sandbox": "dev", "client_id": "c"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without any setting of the machine's own."""
    for name in [name for name in os.environ if name.startswith("MIGRATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()


def profile(text: str, name: str = "p") -> str:
    (Path("config") / f"{name}.toml").write_text(text)
    return name


def test_a_flag_wins_over_the_environment_a_job_a_profile_and_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    name = profile("rate = 1\nconcurrency = 1\nmax_attempts = 1\nsandbox = 'p'")
    job = {"rate": 2, "concurrency": 2, "max_attempts": 2}
    monkeypatch.setenv("MIGRATOR_RATE", "3")
    monkeypatch.setenv("MIGRATOR_CONCURRENCY", "3")

    settings = load({"rate": 4}, profile=name, job=job)

    assert (settings.rate, settings.concurrency, settings.max_attempts, settings.sandbox) == (4, 3, 2, "p")
    assert settings.style == "dps"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("1h", 3600.0), ("250ms", 0.25), ("1.5 s", 1.5)],
)
def test_times_are_read_in_the_units_people_write(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "rate"), [("5", 5.0), ("5/s", 5.0), ("300/m", 5.0), ("7200/h", 2.0), ("0.5 / s", 0.5)]
)
def test_rates_are_read_in_the_units_people_write(text: str, rate: float) -> None:
    assert rate_per_s(text) == rate


@pytest.mark.parametrize(
    ("rate", "meant"),
    [
        (5, 5.0),
        ("300/m", 5.0),
        (0, 0.0),
        ("auto", Range()),
        ("auto:50", Range(ceiling=50.0)),
        (" auto:120/m ", Range(ceiling=2.0)),
    ],
)
def test_the_overall_rate_is_said_or_to_be_found_out(rate: object, meant: float | Range) -> None:
    settings = Settings(rate=rate)

    assert settings.overall_rate == meant
    assert Settings(**settings.public()).overall_rate == meant  # as a ledger keeps it


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": "fast"}, "rate (MIGRATOR_RATE)"),
        ({"rate": "auto:0"}, "rate (MIGRATOR_RATE)"),
        ({"rate": "auto:fast"}, "such as 5 or '300/m', 0 for no limit, 'auto' or 'auto:50'"),
        ({"rate": True}, "rate (MIGRATOR_RATE)"),
        ({"write_rate": "auto"}, "write_rate (MIGRATOR_WRITE_RATE)"),
        ({"rate": -1}, "rate (MIGRATOR_RATE)"),
        ({"timeout": "5 minutes"}, "timeout (MIGRATOR_TIMEOUT)"),
        ({"timeout": 0}, "timeout (MIGRATOR_TIMEOUT)"),
        ({"quiet_period": 0}, "quiet_period (MIGRATOR_QUIET_PERIOD): Input should be greater than or equal to 1"),
        ({"concurrency": 0}, "concurrency (MIGRATOR_CONCURRENCY)"),
        ({"style": "old"}, "style (MIGRATOR_STYLE)"),
        ({"base_url": "platform.adobe.io"}, "must begin with https://"),
        ({"rate": "inf"}, "rate (MIGRATOR_RATE)"),
        ({"timeout": "inf"}, "timeout (MIGRATOR_TIMEOUT)"),
        ({"base_url": "http://:80"}, "base_url (MIGRATOR_BASE_URL)"),
        ({"base_url": "https://host/?x=1"}, "base_url (MIGRATOR_BASE_URL)"),
        ({"base_url": "https://host:abc"}, "base_url (MIGRATOR_BASE_URL)"),
        ({"base_url": "https://me:hunter2@host"}, "must not hold credentials"),
        ({"sandbox": "my sandbox"}, "sandbox (MIGRATOR_SANDBOX)"),
        ({"ratte": 5}, "there is no setting ratte, did you mean rate?"),
        ({"client_secret_file": "a", "client_secret_command": "b"}, "exclude each other"),
    ],
)
def test_a_wrong_setting_is_named_with_its_variable(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(values)

    assert said in str(caught.value)
    assert "config/default.toml" in caught.value.hint


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load({"rate": -1, "concurrency": 0, "colour": "red"})

    assert all(word in str(caught.value) for word in ("rate", "concurrency", "colour"))


@pytest.mark.parametrize("where", ["profile", "job"])
def test_a_secret_in_a_file_is_refused_without_being_shown(where: str) -> None:
    layers: dict[str, Any] = (
        {"profile": profile('client_secret = "hunter2"')}
        if where == "profile"
        else {"job": {"access_token": "hunter2"}}
    )
    with pytest.raises(UsageError) as caught:
        load({}, **layers)

    assert "a secret" in str(caught.value)
    assert "put it into MIGRATOR_" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_of_a_stronger_layer_replaces_where_a_weaker_one_would_look(monkeypatch: pytest.MonkeyPatch) -> None:
    name = profile('client_secret_command = "echo weaker"')
    monkeypatch.setenv("MIGRATOR_CLIENT_SECRET", "stronger")

    assert load({}, profile=name).secret("client_secret") == "stronger"


def test_everything_wrong_is_named_at_once_whichever_layer_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    name = profile('client_secret = "hunter2"\nratte = 5')
    monkeypatch.setenv("MIGRATOR_RETRY_BUDGET", "none")

    with pytest.raises(UsageError) as caught:
        load({"timeout": "soon"}, profile=name, job={"style": "old"}, job_name="job file j.toml")

    said = [one.rpartition(", from ") for one in str(caught.value).split("; ")[1:]]
    assert sorted((what.partition(", unable")[0], where) for what, _, where in said) == [
        ("retry_budget (MIGRATOR_RETRY_BUDGET): Input should be a valid number", "environment MIGRATOR_RETRY_BUDGET"),
        ("style (MIGRATOR_STYLE): Input should be 'dps' or 'xcore'", "job file j.toml"),
        ("there is no setting ratte, did you mean rate?", "profile config/p.toml"),
        ("timeout (MIGRATOR_TIMEOUT): Input should be a valid number", "flag --timeout"),
    ]


def test_each_value_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    name = profile("rate = 1\nconcurrency = 1\nmax_attempts = 1\nsandbox = 'p'\nclient_secret_command = 'echo x'")
    monkeypatch.setenv("MIGRATOR_CONCURRENCY", "3")
    monkeypatch.setenv("MIGRATOR_CLIENT_SECRET", "stronger")

    settings = load({"max_attempts": 4}, profile=name, job={"rate": 2})

    assert {setting: settings.origin(setting) for setting in ("rate", "concurrency", "max_attempts", "sandbox")} == {
        "rate": "the job file",
        "concurrency": "environment MIGRATOR_CONCURRENCY",
        "max_attempts": "flag --max-attempts",
        "sandbox": "profile config/p.toml",
    }
    assert settings.origin("timeout") == "default"
    assert settings.origin("client_secret") == "environment MIGRATOR_CLIENT_SECRET"
    assert settings.origin("client_secret_command") == "default", "what is replaced is from nowhere"


def test_a_missing_or_broken_profile_is_named() -> None:
    with pytest.raises(UsageError, match=r"there is no profile config/emulator\.toml") as first:
        load({}, profile="emulator")
    assert "`migrator demo --copy .`" in first.value.hint
    profile("", name="somebody")
    with pytest.raises(UsageError, match=r"there is no profile config/nobody\.toml") as caught:
        load({}, profile="nobody")
    assert caught.value.hint.startswith("did you mean somebody? there are somebody")
    with pytest.raises(UsageError, match=r"config/p\.toml cannot be read"):
        load({}, profile=profile("rate = = 5"))


def test_a_secret_is_read_from_the_environment_a_file_or_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("from-file\n")
    monkeypatch.setenv("MIGRATOR_CLIENT_SECRET", "from-environment")

    assert load({}).secret("client_secret") == "from-environment"
    monkeypatch.delenv("MIGRATOR_CLIENT_SECRET")
    assert load({"client_secret_file": "secret"}).secret("client_secret") == "from-file"
    assert load({"client_secret_command": "echo from-command"}).secret("client_secret") == "from-command"
    assert load({}).secret("client_secret") == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"client_secret_file": "nowhere"}, "client_secret_file nowhere cannot be read"),
        ({"client_secret_command": "false"}, "client_secret_command failed"),
        ({"client_secret_command": "no-such-program-here"}, "client_secret_command failed"),
        ({"access_token_command": "bash -c 'echo hunter2; exit 3'"}, "access_token_command failed"),
    ],
)
def test_a_secret_that_cannot_be_had_is_said_without_being_shown(values: dict[str, str], said: str) -> None:
    name = "access_token" if "access_token_command" in values else "client_secret"

    with pytest.raises(UsageError) as caught:
        load(values).secret(name)

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_secrets_are_in_no_picture_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_CLIENT_SECRET", "hunter2")
    settings = load({"access_token_command": "echo hunter3"})

    assert "hunter2" not in repr(settings) + str(settings.public()) + str(settings.remembered())
    assert "hunter3" not in str(settings.public())


def test_a_target_is_complete_or_everything_missing_is_named() -> None:
    require_target(load({**COMPLETE, "client_secret_command": "echo x"}))

    with pytest.raises(UsageError) as caught:
        require_target(load({"sandbox": "dev"}))
    assert all(
        name in str(caught.value) for name in ("MIGRATOR_ORG_ID", "MIGRATOR_CLIENT_ID", "MIGRATOR_CLIENT_SECRET")
    )
    assert "MIGRATOR_SANDBOX" not in str(caught.value)


def test_the_profile_is_remembered_and_nothing_else_is_added() -> None:
    settings = load({}, profile=profile("rate = 2"))

    assert settings.remembered() == {**settings.public(), "profile": "p"}
    assert load({}).remembered() == Settings().public()
