"""Access tokens: had ready-made, or fetched with client credentials and renewed before they end.

Source: `reference/errors-and-limits.md` section 5. A token is never part of a value that leaves this package, of a
message, or of a log line.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

import aiohttp
import msgspec
from msgspec import Meta, Struct
from yarl import URL

from migrator.logs import hide
from migrator.transport.failures import BROKEN, describe
from migrator.transport.proxies import proxy_for

TOKEN_PATH = "/ims/token/v3"  # noqa: S105 (a path)

FORM = "application/x-www-form-urlencoded"

MARGIN_S = 300.0
"""Renew at least this long before the end, or 5 % of the life if that is more."""

RETRY_S = 30.0
"""How long after a renewal that failed the next one is tried, while the old token still serves."""

MILLISECONDS_ABOVE = 10_000_000
"""No token lives this many seconds (116 days): such an `expires_in` is in milliseconds, as the retired JWT exchange
had it."""

KEPT_CHARACTERS = 300
"""How much of the identity service's own words a message quotes."""


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

    @property
    def at_hand(self) -> bool:
        """Whether `token` returns at once."""

    @property
    def life_s(self) -> float | None:
        """For how many more seconds the token at hand lives, or `None` if it does not say so."""

    @property
    def current(self) -> str:
        """The token, if there is one that need not be renewed; "" if `token` is to be asked."""

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
    at_hand = True

    def __init__(self, client_id: str, token: str) -> None:
        """Use `token` for every request, without the line break that an environment variable may end with."""
        self.client_id = client_id
        self.current = token.strip()
        hide(self.current)

    @property
    def life_s(self) -> float | None:
        """What the token says of its end, if it is one that says anything."""
        ends_at = ends_at_s(self.current)
        return None if ends_at is None else ends_at - time.time()

    async def token(self) -> str:
        """Return the token."""
        return self.current

    def reject(self, token: str) -> None:
        """Do nothing: there is no other token, and the verdict on the answer stops the run."""


class _Grant(Struct):
    """The part of the answer that is used: a token that fits into a header, and its life (`renew_after_s`)."""

    access_token: Annotated[str, Meta(pattern=r"^[!-~]+$")]
    expires_in: Annotated[float, Meta(gt=0)]


class _Claims(Struct):
    """What an access token of the identity service says of its life: both in milliseconds, as text."""

    created_at: float
    expires_in: float


class _OAuthError(Struct):
    """How OAuth says no (RFC 6749, 5.2)."""

    error: Annotated[str, Meta(min_length=1)]
    error_description: str = ""


_T = TypeVar("_T")
_decode_grant = msgspec.json.Decoder(_Grant, strict=False).decode
_decode_claims = msgspec.json.Decoder(_Claims, strict=False).decode
_decode_error = msgspec.json.Decoder(_OAuthError).decode


class ClientCredentials:
    """OAuth server-to-server: one token for everybody, fetched once however many ask for it.

    A token that is due is renewed while everybody goes on with the old one, so that nobody waits, and an identity
    service that is away for a moment is not noticed. Only where no token is left do callers wait: all for the same
    renewal, whose failure is the failure of them all.
    """

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

        Raises:
            UsageError: the environment names a proxy that cannot be used.
        """
        self.client_id = client_id
        self._session = session
        self._url = URL(ims_url.rstrip("/") + TOKEN_PATH)
        self._proxy = proxy_for(self._url)
        self._secret = client_secret
        hide(client_secret)
        self._scopes = scopes
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._renewal: asyncio.Task[str] | None = None

    @property
    def at_hand(self) -> bool:
        """Whether there is a token that still lives; one that is due is renewed meanwhile."""
        return time.monotonic() < self._ends_at

    @property
    def life_s(self) -> float | None:
        """Seconds that are left of the life that the grant named."""
        return self._ends_at - time.monotonic()

    @property
    def current(self) -> str:
        """The token, until it is due."""
        return self._token if time.monotonic() < self._renew_at else ""

    async def token(self) -> str:
        """Return the current token; fetch one, or wait for it, if there is none."""
        now = time.monotonic()
        renewal = self._renewing() if now >= self._renew_at else None
        if renewal is None or now < self._ends_at:
            return self._token
        # The shield: a caller that is cancelled leaves the renewal to the others.
        return await asyncio.shield(renewal)

    def reject(self, token: str) -> None:
        """Forget `token` if it is the current one."""
        if token == self._token:
            self._token = ""
            self._renew_at = self._ends_at = 0.0

    def _renewing(self) -> asyncio.Task[str]:
        """Return the renewal that is under way, or begin one."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="token-renewal")
            self._renewal.add_done_callback(_look)
        return self._renewal

    async def _renew(self) -> str:
        asked_at = time.monotonic()
        self._renew_at = min(asked_at + RETRY_S, self._ends_at)
        grant = _read_grant(*await self._ask(), hidden=self._secret)
        self._token = grant.access_token
        hide(grant.access_token)
        self._renew_at = asked_at + renew_after_s(grant.expires_in)
        self._ends_at = asked_at + life_s(grant.expires_in)
        return grant.access_token

    async def _ask(self) -> tuple[int, bytes]:
        form = {
            "client_id": self.client_id,
            "client_secret": self._secret,
            "grant_type": "client_credentials",
            "scope": self._scopes,
        }
        try:
            async with self._session.post(
                self._url, data=form, headers={"Content-Type": FORM}, allow_redirects=False, proxy=self._proxy
            ) as response:
                return response.status, await response.read()
        except BROKEN as error:
            reason = describe(error)
        # Raised out here, so that no exception that has seen the form hangs on this one.
        raise CredentialsUnreachable(f"the identity service cannot be reached: {reason}")


def _read_grant(status: int, body: bytes, *, hidden: str) -> _Grant:
    """Read the answer of the token endpoint.

    Only an OAuth error is a no. An error page, or a 200 without a token, comes from something else on the way.

    Args:
        status: of the answer.
        body: of the answer. It is quoted only when it is an OAuth error, because a grant holds the token.
        hidden: what is never quoted.
    """
    if status == 200:
        if (grant := _read(_decode_grant, body)) is not None:
            return grant
        raise CredentialsUnreachable("the identity service answered 200 without a token")
    error = _read(_decode_error, body)
    if status not in (400, 401, 403) or error is None:
        raise CredentialsUnreachable(f"the identity service answers HTTP {status}")
    words = ": ".join(filter(None, (error.error, error.error_description))).replace(hidden, "***")
    raise CredentialsRefused(
        f"the identity service refuses the credentials: HTTP {status}: {' '.join(words.split())[:KEPT_CHARACTERS]}"
    )


def _read(decode: Callable[[bytes], _T], body: bytes) -> _T | None:
    try:
        return decode(body)
    except (ValueError, RecursionError):  # what msgspec raises for any octets: DecodeError, UnicodeDecodeError
        return None


def _look(renewal: asyncio.Task[str]) -> None:
    """Look at the failure of a renewal: one that goes on behind the scenes has nobody else to look at it."""
    if not renewal.cancelled():
        renewal.exception()


def ends_at_s(token: str) -> float | None:
    """Return when a token ends by its own claims, in seconds since the epoch, or `None` if it has none that we know.

    Nothing is decided by that: whether a token is good only the service can say. Source of the claims:
    github.com/adobe/aio-lib-ims, `src/ims.js`.
    """
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        octets = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except ValueError:
        return None
    claims = _read(_decode_claims, octets)
    return None if claims is None else (claims.created_at + claims.expires_in) / 1000


def life_s(expires_in: float) -> float:
    """Return a token's life in seconds.

    Args:
        expires_in: as the endpoint says it: seconds, or milliseconds if it is absurdly large.
    """
    return expires_in / 1000 if expires_in > MILLISECONDS_ABOVE else expires_in


def renew_after_s(expires_in: float) -> float:
    """Return after how many seconds a token should be replaced.

    ``life − max(300 s, 5 % of life)``, but never before half of a short life is over.

    Args:
        expires_in: as the endpoint says it (`life_s`).
    """
    life = life_s(expires_in)
    return life - min(max(MARGIN_S, 0.05 * life), life / 2)
