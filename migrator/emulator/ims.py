"""The token endpoint, and the tokens it has given out (errors-and-limits 5.1)."""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from migrator.emulator import media_types
from migrator.emulator.answers import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.emulator.http import Request, Response
    from migrator.emulator.observation import Counters
    from migrator.emulator.settings import EmulatorSettings

_FORM = "application/x-www-form-urlencoded"
_SECOND_US = 1_000_000
_BEARERS = {
    "any": re.compile(r"Bearer\s+(\S+)", re.IGNORECASE),
    "one": re.compile(r"Bearer (\S+)", re.IGNORECASE),
}
"""How a token is given, by the value of C-01."""


class Ims:
    """Issues tokens for client credentials and knows which are still good.

    Args:
        settings: which credentials are accepted and how long a token lives.
        counters: where issued tokens are counted.
        now_us: the clock, microseconds since 1970.
    """

    def __init__(self, settings: EmulatorSettings, counters: Counters, now_us: Callable[[], int]) -> None:
        self._settings = settings
        self._counters = counters
        self._now_us = now_us
        self._valid_until_us: dict[str, int] = {}
        self._revoked: set[str] = set()
        self._bearer = _BEARERS[settings.choices.bearer_blanks]

    def token_of(self, request: Request) -> str | None:
        """The bearer token that a request carries (C-01)."""
        return _token(self._bearer, request.headers.get("authorization", ""))

    def is_valid(self, token: str) -> bool:
        """Whether a token was issued here, or configured, and has neither expired nor been revoked."""
        if self._revoked and token in self._revoked:
            return False
        if token == self._settings.access_token:
            return True
        return self._now_us() < self._valid_until_us.get(token, 0)

    def revoke(self, token: str) -> None:
        """Make a token invalid before its time."""
        self._revoked.add(token)

    def clear(self) -> None:
        """Take all revocations back; tokens stay valid for their time."""
        self._revoked.clear()

    def issue(self, request: Request) -> Response:
        """``POST /ims/token/v3``: answer a client-credentials request, form-encoded."""
        form = _form(request)
        refusal = self._refusal(form)
        if refusal is not None:
            return json_answer(*refusal)
        token = secrets.token_urlsafe(32)
        self._valid_until_us[token] = self._now_us() + round(self._settings.token_lifetime_s * _SECOND_US)
        self._counters.tokens_issued += 1
        lifetime_s = int(self._settings.token_lifetime_s)
        return json_answer(HTTPStatus.OK, {"access_token": token, "token_type": "bearer", "expires_in": lifetime_s})

    def _refusal(self, form: Mapping[str, str]) -> tuple[HTTPStatus, dict[str, object]] | None:
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(HTTPStatus.BAD_REQUEST, "unsupported_grant_type", "only client_credentials")
        for name, expected in self._credentials():
            if not form.get(name):
                return _oauth_error(HTTPStatus.BAD_REQUEST, "invalid_request", f"{name} is missing")
            if expected not in (None, form[name]):
                return _oauth_error(HTTPStatus.UNAUTHORIZED, "invalid_client", f"{name} is wrong")
        return None

    def _credentials(self) -> tuple[tuple[str, str | None], ...]:
        return ("client_id", self._settings.client_id), ("client_secret", self._settings.client_secret)


@lru_cache(maxsize=256)
def _token(bearer: re.Pattern[str], header: str) -> str | None:
    """The token in a header. Tokens are long, and clients send the same over and over."""
    found = bearer.fullmatch(header.strip())
    return found[1] if found else None


def _form(request: Request) -> dict[str, str]:
    """The form that a request carries; an empty one when it carries none."""
    media_type = media_types.parse(request.headers.get("content-type", ""))
    if media_type is None or media_type.essence != _FORM:
        return {}
    return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))


def _oauth_error(status: HTTPStatus, error: str, description: str) -> tuple[HTTPStatus, dict[str, object]]:
    return status, {"error": error, "error_description": description}
