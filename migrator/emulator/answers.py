"""Answers: JSON, and the one page of HTML."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator.http import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

HTML = "text/html; charset=utf-8"
"""Content type of a page for people."""


def json_answer(
    status: int, body: Any, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body."""
    return Response(status, msgspec.json.encode(body), content_type, headers)


def html_page(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The page of a proxy that does not know what JSON is."""
    title = f"{status} {HTTPStatus(status).phrase}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return Response(status, page.encode(), HTML, headers)


def extended(document: bytes, members: dict[str, Any]) -> msgspec.Raw:
    """An encoded JSON object with members added, without decoding it.

    Args:
        document: an object.
        members: what to put behind its own members; at least one, and none that it has.
    """
    joint = b"," if len(document) > len(b"{}") else b""
    return msgspec.Raw(document[:-1] + joint + msgspec.json.encode(members)[1:])
