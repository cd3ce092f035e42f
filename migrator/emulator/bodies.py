"""What a request carries: its media type and its JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import media_types
from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from aiohttp import web

    from migrator.emulator.media_types import MediaType


async def read_json(request: web.Request) -> Any:
    """The body as a JSON value.

    Raises:
        ProblemError: 400, the body is not JSON.
    """
    body = await request.read()
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed-json", str(failure)) from failure


def media_type_of(content_type: str, accepted: frozenset[str]) -> MediaType:
    """Read a ``Content-Type`` that has to be one of a few.

    Raises:
        ProblemError: 415.
    """
    media_type = media_types.parse(content_type)
    if media_type is None or media_type.essence not in accepted:
        raise unsupported(f"Content-Type {content_type!r} is not {' or '.join(sorted(accepted))}")
    return media_type


def unsupported(detail: str) -> ProblemError:
    """The refusal of a body by its media type."""
    return ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
