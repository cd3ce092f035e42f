"""Refusals. Raising one ends a request; the gateway turns it into an answer.

Two layers refuse in two shapes: the gateway, which stands before every Adobe service, and the service itself.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from migrator.emulator.answers import json_answer

if TYPE_CHECKING:
    from aiohttp import web


class RefusalError(Exception):
    """The request is not carried out.

    Attributes:
        status: HTTP status of the answer.
        headers: headers of the answer beside the content type.
    """

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}

    def response(self, request_id: str) -> web.Response:
        """The answer that tells the client why."""
        raise NotImplementedError


class GatewayError(RefusalError):
    """The gateway turned the request away: the service has not seen it (errors-and-limits 2.1)."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message, headers)
        self.code = code

    def response(self, request_id: str) -> web.Response:  # noqa: ARG002 - the gateway's bodies do not carry it
        """The answer, as the gateway shapes it."""
        body = {"error_code": self.code, "message": str(self)}
        return json_answer(self.status, body, "application/json", self.headers)


class ProblemError(RefusalError):
    """The service refuses (errors-and-limits 2.3, RFC 9457).

    Args:
        status: HTTP status.
        kind: one word or a few with hyphens, for machines.
        detail: one sentence, for people.
        pointer: JSON Pointer to the member in question; None when there is none.
        headers: headers to add to the answer.
    """

    def __init__(
        self, status: int, kind: str, detail: str, pointer: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.pointer = pointer

    def response(self, request_id: str) -> web.Response:
        """The answer, as a problem document whose type cannot be taken for one of Adobe's."""
        report = {"requestId": request_id}
        if self.pointer is not None:
            report["pointer"] = self.pointer
        body = {
            "type": f"urn:offer-emulator:error:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "report": report,
        }
        return json_answer(self.status, body, "application/problem+json", self.headers)


class ConnectionLostError(Exception):
    """There is no answer: the connection to the client has been closed."""


def not_emulated(what: str) -> ProblemError:
    """A refusal for what Adobe has and this server does not."""
    return ProblemError(HTTPStatus.NOT_IMPLEMENTED, "not-emulated", f"{what} is not emulated yet")
