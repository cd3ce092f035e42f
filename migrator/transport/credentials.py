"""Access tokens: had ready-made, or fetched with client credentials and renewed before they end.

Source: `reference/errors-and-limits.md` section 5. A token is never part of a value that leaves this package, of a
message, or of a log line.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import aiohttp
import msgspec
from msgspec import Struct

TOKEN_PATH = "/ims/token/v3"  # noqa: S105 (a path)

FORM = "application/x-www-form-urlencoded"

MARGIN_S = 300.0
"""Renew at least this long before the end, or 5 % of the life if that is more."""

MILLISECONDS_ABOVE = 10_000_000
"""No token lives this many seconds (116 days): such an `expires_in` is in milliseconds, as the retired JWT exchange
had it."""


class CredentialsUnreachable(Exception):
    """The identity service gave no usable answer; later it may."""


class CredentialsRefused(Exception):
    """The identity service said no; asking again does not help."""


class Credentials(Protocol):
    """What the transport asks for the token of each request."""

    @property
    def client_id(self) -> str:
        """The client id, which is also the value of `x-api-key`."""

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be replaced."""

    async def token(self) -> str:
        """Return a token that has some life left.

        Raises:
            CredentialsUnreachable: there is none now.
            CredentialsRefused: there will be none.
        """

    def reject(self, token: str) -> None:
        """Note that the service refused `token`. A newer token is not touched."""


class ReadyToken:
    """A token that somebody else fetched. When it ends, the run stops."""

    renewable = False

    def __init__(self, client_id: str, token: str) -> None:
        """Use `token` for every request."""
        self.client_id = client_id
        self._token = token

    async def token(self) -> str:
        """Return the token."""
        return self._token

    def reject(self, token: str) -> None:
        """Do nothing: there is no other token, and the verdict on the answer stops the run."""


class _Grant(Struct):
    access_token: str
    expires_in: float


class _OAuthError(Struct):
    error: str = ""
    error_description: str = ""


_decode_grant = msgspec.json.Decoder(_Grant).decode
_decode_error = msgspec.json.Decoder(_OAuthError).decode


class ClientCredentials:
    """OAuth server-to-server: one token for everybody, fetched by one and awaited by the others."""

    renewable = True

    def __init__(
        self, session: aiohttp.ClientSession, ims_url: str, *, client_id: str, client_secret: str, scopes: str
    ) -> None:
        """Fetch tokens from `ims_url`.

        Args:
            session: the run's session.
            ims_url: scheme, host and port of the identity service.
            client_id: of the project.
            client_secret: of the project.
            scopes: one string, separated by commas.
        """
        self.client_id = client_id
        self._session = session
        self._url = ims_url.rstrip("/") + TOKEN_PATH
        self._form = {
            "client_id": client_id,
            "client_secret": client_secret,
            "grant_type": "client_credentials",
            "scope": scopes,
        }
        self._token = ""
        self._renew_at = 0.0
        self._single_flight = asyncio.Lock()

    async def token(self) -> str:
        """Return the current token, or fetch one; only one caller fetches, the others wait for it."""
        if self._stale():
            async with self._single_flight:
                if self._stale():
                    await self._fetch()
        return self._token

    def reject(self, token: str) -> None:
        """Forget `token` if it is the current one."""
        if token == self._token:
            self._token = ""

    def _stale(self) -> bool:
        return not self._token or time.monotonic() >= self._renew_at

    async def _fetch(self) -> None:
        asked_at = time.monotonic()
        try:
            async with self._session.post(
                self._url, data=self._form, headers={"Content-Type": FORM}, allow_redirects=False
            ) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CredentialsUnreachable(f"the identity service cannot be reached: {type(error).__name__}") from error
        grant = _read_grant(status, body)
        self._token = grant.access_token
        self._renew_at = asked_at + renew_after_s(grant.expires_in)


def _read_grant(status: int, body: bytes) -> _Grant:
    """Read the answer of the token endpoint. Its body is never quoted: a grant holds the token."""
    if status == 200:
        try:
            return _decode_grant(body)
        except msgspec.DecodeError as error:
            raise CredentialsUnreachable("the identity service answered 200 without a token") from error
    if status in (400, 401, 403):
        raise CredentialsRefused(f"the identity service refuses the credentials: HTTP {status}{_reason(body)}")
    raise CredentialsUnreachable(f"the identity service answers HTTP {status}")


def _reason(body: bytes) -> str:
    try:
        error = _decode_error(body)
    except msgspec.DecodeError:
        return ""
    return "".join(f": {part}" for part in (error.error, error.error_description) if part)


def renew_after_s(expires_in: float) -> float:
    """Return after how many seconds a token should be replaced.

    ``life − max(300 s, 5 % of life)``, but never before half of a short life is over.

    Args:
        expires_in: as the endpoint says it: seconds, or milliseconds if it is absurdly large.
    """
    life = expires_in / 1000 if expires_in > MILLISECONDS_ABOVE else expires_in
    return life - min(max(MARGIN_S, 0.05 * life), life / 2)
