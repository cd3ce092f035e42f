"""One request in, one answer out: what every HTTP client here has in common.

A `Client` sends one request and reads its answer: `session` by aiohttp, `lean` by less. Around it belongs what must be
alike whichever is used: the identity and the token of each request, which answers cost the token its trust, and that no
answer shows it. Nothing at this level or below repeats a request, follows a redirect or keeps a cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from migrator.core.model import Answer, Failure, FailureKind, Request, Response
from migrator.transport.credentials import Credentials, CredentialsRefused, CredentialsUnreachable
from migrator.transport.failures import printable

KEPT_HEADERS = ("retry-after", "date", "location")
"""The response headers that somebody reads, and only of an answer that is no success."""


class Client(Protocol):
    """Sends requests to one service."""

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send `request` once, with `headers` in place of its own, and read the answer to its end.

        Returns:
            The answer as it came, with those of `KEPT_HEADERS` that it has, unless it is a success; or what the failure
            proves.
        """


class HttpTransport:
    """The transport of a run. It implements `ports.Transport`."""

    def __init__(self, client: Client, credentials: Credentials, org_id: str) -> None:
        """Send through `client`.

        Args:
            client: leads to the service.
            credentials: gives the token of each request.
            org_id: the organisation, `…@AdobeOrg`.
        """
        self._client = client
        self._credentials = credentials
        self._identity = {"x-api-key": credentials.client_id, "x-gw-ims-org-id": org_id}

    @property
    def renewable(self) -> bool:
        """Whether a token that the service refuses is replaced before the next request."""
        return self._credentials.renewable

    @property
    def ready(self) -> bool:
        """Whether a token is at hand. Waiting for one is not part of sending, or a rate could not be kept."""
        return self._credentials.at_hand

    async def make_ready(self) -> Failure | None:
        """Have a token at hand."""
        token = await self._token()
        return token if isinstance(token, Failure) else None

    async def send(self, request: Request) -> Answer:
        """Send `request` once and read the answer to its end."""
        token = self._credentials.current or await self._token()
        if isinstance(token, Failure):
            return token
        headers = {**request.headers, **self._identity, "Authorization": f"Bearer {token}"}
        answer = await self._client.exchange(request, headers)
        if isinstance(answer, Failure):
            return answer
        if answer.status in (401, 403):
            # A 403 may be the gateway's word on the token too; a new one costs one call and proves nothing wrong.
            self._credentials.reject(token)
        return _without(token, answer)

    async def _token(self) -> str | Failure:
        try:
            return await self._credentials.token()
        except CredentialsUnreachable as error:
            return Failure(FailureKind.NOT_SENT, str(error))
        except CredentialsRefused as error:
            return Failure(FailureKind.NO_CREDENTIALS, str(error))


def _without(token: str, answer: Response) -> Response:
    """Hide the token: what stands on the way may print the request it got, and messages quote what they are told."""
    if not answer.headers and token.encode() not in answer.body:
        return answer
    headers = {name: printable(value).replace(token, "***") for name, value in answer.headers.items()}
    return Response(answer.status, headers, answer.body.replace(token.encode(), b"***"))
