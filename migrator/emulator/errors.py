"""Refusals. Raising one ends a request; the gateway turns it into an answer.

Two layers refuse in two shapes: the gateway, which stands before every Adobe service, and the service itself. Whoever
raises a refusal names what is wrong by its kind; which status and which shape that has is a matter of choices, and is
decided here once (`Refusals`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator.answers import html_page, json_answer
from migrator.emulator.codes import GATEWAY_CODES
from migrator.emulator.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.emulator.choices import Choices

PROBLEM = "application/problem+json"
"""Content type of the service's error bodies."""


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


class GatewayError(RefusalError):
    """The gateway turned the request away: the service has not seen it (errors-and-limits 2.1).

    Args:
        code: one of `GATEWAY_CODES`, which has its status and its message.
        headers: headers to add to the answer.
    """

    def __init__(self, code: str, headers: dict[str, str] | None = None) -> None:
        status, message = GATEWAY_CODES[code]
        super().__init__(status, message, headers)
        self.code = code


class ProblemError(RefusalError):
    """The service refuses (errors-and-limits 2.3, RFC 9457).

    Args:
        status: HTTP status, unless a choice has another for this kind.
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


class ConnectionLostError(Exception):
    """There is no answer: the connection to the client has been closed."""


def bad_query(detail: str) -> ProblemError:
    """The refusal of a query that makes no sense (C-09)."""
    return ProblemError(HTTPStatus.BAD_REQUEST, "bad-query", detail)


class Refusals:
    """Turns refusals into answers.

    Args:
        choices: which status a kind of refusal has, and which shape the service's bodies have (C-30).
        too_large: status of the refusal of an object that is too large.
    """

    def __init__(self, choices: Choices, too_large: int) -> None:
        self._shape = SHAPES[choices.error_bodies]
        self._statuses = {
            "unknown-container": int(choices.unknown_container),
            "bad-query": int(choices.bad_query),
            "test-failed": int(choices.failed_test),
            "method-not-allowed": int(choices.undocumented_verbs),
            "too-large": too_large,
        }

    def answer(self, refusal: GatewayError | ProblemError, request_id: str) -> Response:
        """The answer that tells the client why.

        Args:
            refusal: what was raised while the request was looked at.
            request_id: what the answer calls the request.
        """
        if isinstance(refusal, GatewayError):
            body = {"error_code": refusal.code, "message": str(refusal)}
            return json_answer(refusal.status, body, headers=refusal.headers)
        status = self._statuses.get(refusal.kind, refusal.status)
        response = self._shape(status, problem(refusal, status, request_id))
        if status != HTTPStatus.NOT_FOUND:  # what is not there allows no methods either (C-12)
            response.headers.update(refusal.headers)
        return response


def problem(refusal: ProblemError, status: int, request_id: str) -> dict[str, Any]:
    """A problem document whose type cannot be taken for one of Adobe's."""
    report = {"requestId": request_id}
    if refusal.pointer is not None:
        report["pointer"] = refusal.pointer
    return {
        "type": f"urn:offer-emulator:error:{refusal.kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(refusal),
        "report": report,
    }


def _as_gateway(status: int, body: dict[str, Any]) -> Response:
    """The gateway's shape, under a code of none of its own: those say that the service has not seen the request."""
    return json_answer(status, {"error_code": f"{status}999", "message": body["detail"]})


def _cut(status: int, body: dict[str, Any]) -> Response:
    whole = msgspec.json.encode(body)
    return Response(status, whole[: len(whole) // 2], PROBLEM)


SHAPES: dict[str, Callable[[int, dict[str, Any]], Response]] = {
    "problem": lambda status, body: json_answer(status, body, PROBLEM),
    "gateway": _as_gateway,
    "error-message": lambda status, body: json_answer(status, {"errorMessage": body["detail"]}),
    "html": lambda status, _: html_page(status),
    "empty": lambda status, _: Response(status),
    "cut": _cut,
    "wrong-type": lambda status, body: json_answer(status, body, "text/html"),
}
"""Error bodies by the value of C-30."""
