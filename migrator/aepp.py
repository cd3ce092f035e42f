"""The configuration file of aepp, Adobe's Python library for Experience Platform, read as a profile.

Source: github.com/adobe/aepp, `aepp/configs.py`: what `createConfigFile` writes and `importConfigFile` reads. It is
JSON and holds the client secret, so it is a secrets file: its values are used and never shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrator.core.errors import UsageError

NAMES: Mapping[str, str] = {
    "org_id": "org_id",
    "client_id": "client_id",
    "secret": "client_secret",
    "sandbox-name": "sandbox",
    "scopes": "scopes",
}
"""Its keys, and our settings. `api_key` is its old word for `client_id`. What is not here has no meaning for us."""

PRODUCTION = "prod"
"""The sandbox and the environment that its template has before anybody has chosen one."""

_HINT = "make an OAuth Server-to-Server credential in the Developer Console; its `scopes` belong into the file"


def read_aepp(path: Path) -> dict[str, Any]:
    """Read such a file as settings.

    The sandbox is the one of the file and never a default. As the template names the production, nobody may have meant
    it: it is asked for by name before anything is sent, as `production = true` does.

    Raises:
        UsageError: the file is missing, broken, a template, or has credentials of another kind.
    """
    found = _read(path)
    if "client_id" not in found and "api_key" in found:
        found["client_id"] = found["api_key"]
    _refuse_other_credentials(found, path)
    if blank := [key for key in NAMES if str(found.get(key, "")).startswith("<")]:
        raise UsageError(f"{path} is still the template in {', '.join(blank)}", "fill it in")
    settings = {setting: found[key] for key, setting in NAMES.items() if found.get(key)}
    if "scopes" in settings:
        settings["scopes"] = str(settings["scopes"]).replace(" ", "")
    if settings.get("sandbox") == PRODUCTION:
        settings["production"] = True
    return settings | _addresses(str(found.get("environment") or PRODUCTION))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"there is no aepp configuration file {path}") from None
    except (OSError, ValueError) as error:
        # What a decoder says may quote the file, which holds a secret.
        raise UsageError(f"the aepp configuration file {path} cannot be read: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise UsageError(f"the aepp configuration file {path} is not a JSON object")
    return found


def _refuse_other_credentials(found: Mapping[str, Any], path: Path) -> None:
    """Tell the credentials apart as aepp does: by `scopes`, else a private key, else a code."""
    if "scopes" in found:
        return
    if "pathToKey" in found:
        raise UsageError(f"{path} has a private key: JWT credentials, which Adobe has retired", _HINT)
    if "auth_code" in found:
        raise UsageError(f"{path} has an authorization code, which serves Adobe's own services alone", _HINT)


def _addresses(environment: str) -> dict[str, str]:
    """Return where an environment is; the production is our default."""
    if environment == PRODUCTION:
        return {}
    return {
        "base_url": f"https://platform-{environment}.adobe.io",
        "ims_url": "https://ims-na1-stg1.adobelogin.com",
    }
