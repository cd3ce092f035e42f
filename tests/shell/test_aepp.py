"""The configuration file of aepp, read as a profile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import UsageError
from migrator.layers import SECRETS
from migrator.settings import load, require_target

OAUTH = {
    "org_id": "ACME@AdobeOrg",
    "client_id": "the-client",
    "secret": "needle-7d1",
    "sandbox-name": "dev",
    "environment": "prod",
    "scopes": "openid, AdobeID, read_organizations",
}
"""As `createConfigFile(auth_type="oauthV2")` of aepp 0.6 names its keys."""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without any setting of the machine's own."""
    for name in [name for name in os.environ if name.startswith("MIGRATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(**changes: Any) -> str:
    kept = {key: value for key, value in (OAUTH | changes).items() if value is not None}
    Path("aepp.json").write_text(json.dumps(kept))
    return "aepp.json"


def test_its_users_can_start_at_once() -> None:
    settings = load({}, profile=write())

    require_target(settings)
    assert (settings.org_id, settings.client_id, settings.sandbox) == ("ACME@AdobeOrg", "the-client", "dev")
    assert settings.secret("client_secret") == "needle-7d1"
    assert settings.scopes == "openid,AdobeID,read_organizations"
    assert (settings.base_url, settings.ims_url) == ("https://platform.adobe.io", "https://ims-na1.adobelogin.com")
    assert settings.origin("sandbox") == "aepp file aepp.json"


def test_a_flag_and_the_environment_win_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_CLIENT_ID", "another")

    settings = load({"sandbox": "stage"}, profile=write())

    assert (settings.client_id, settings.sandbox) == ("another", "stage")


def test_another_environment_has_other_addresses() -> None:
    settings = load({}, profile=write(environment="stage"))

    assert settings.base_url == "https://platform-stage.adobe.io"
    assert settings.ims_url == "https://ims-na1-stg1.adobelogin.com"


def test_the_old_word_for_the_client_id_is_read_too() -> None:
    assert load({}, profile=write(client_id=None, api_key="old")).client_id == "old"


def test_the_sandbox_of_the_template_asks_to_be_confirmed_and_a_missing_one_is_none() -> None:
    assert load({}, profile=write(**{"sandbox-name": "prod"})).production
    assert not load({}, profile=write()).production
    assert load({}, profile=write(**{"sandbox-name": None})).sandbox == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scopes": None, "tech_id": "x@techacct.adobe.com", "pathToKey": "private.key"}, "JWT"),
        ({"scopes": None, "auth_code": "needle"}, "authorization code"),
        ({"org_id": "<orgID>", "secret": "<YourSecret>"}, "template in org_id, secret"),
        ({"org_id": "has a blank"}, "org_id (MIGRATOR_ORG_ID): String should match pattern '^\\S*$', from aepp file"),
    ],
)
def test_what_cannot_be_used_is_said_without_the_secret(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load({}, profile=write(**changes))

    assert words in str(caught.value)
    assert caught.value.hint
    assert "needle" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("text", ['{"secret": "needle"', '["needle"]', '{"secret": "needle\udcff"}'])
def test_a_broken_file_is_named_without_what_is_in_it(text: str) -> None:
    Path("aepp.json").write_text(text, errors="surrogateescape")

    with pytest.raises(UsageError, match=r"aepp\.json") as caught:
        load({}, profile="aepp.json")

    assert "needle" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"there is no aepp configuration file nowhere\.json"):
        load({}, profile="nowhere.json")


def test_a_run_remembers_the_file_and_nothing_secret_of_it() -> None:
    settings = load({}, profile=write())

    assert settings.remembered()["profile"] == "aepp.json"
    assert "needle" not in json.dumps(settings.remembered()) + repr(settings)
    assert not set(SECRETS) & set(settings.remembered())
