"""What a request carries: its media type and its JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import media_types
from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from migrator.emulator.http import Request
    from migrator.emulator.media_types import MediaType

_OPERATION_MEMBERS = (b'"op"', b'"path"', b'"from"', b'"value"')


class _Doubled(dict[str, Any]):
    """A JSON object in which a member was written twice."""


def decode(body: bytes) -> Any:
    """A JSON text as a value.

    Raises:
        ProblemError: 400.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed-json", str(failure)) from failure


def decode_patch(body: bytes) -> Any:
    """A JSON text as a patch, in which no operation may have a member twice (RFC 6902, appendix A.13).

    Only a body that names a member more often than it has operations is looked at a second time, so the usual patch
    is not decoded twice.

    Raises:
        ProblemError: 400; the pointer leads to the operation in the patch.
    """
    patch = decode(body)
    if isinstance(patch, list) and max(map(body.count, _OPERATION_MEMBERS)) > len(patch):
        for number, operation in enumerate(json.loads(body, object_pairs_hook=_noting_doubles)):
            if isinstance(operation, _Doubled):
                detail = "an operation has a member twice"
                raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed-patch", detail, f"/{number}")
    return patch


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


def check_accept(request: Request, offered: frozenset[str]) -> None:
    """Refuse an ``Accept`` that covers none of what this call can answer with (C-03).

    What is not a legal media range, such as a bare ``*``, is passed over.

    Raises:
        ProblemError: 406.
    """
    text = request.headers.get("accept")
    if text is not None and not _accepts(text, offered):
        detail = f"this call answers with {' or '.join(sorted(offered))}, not with {text!r}"
        raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", detail)


@lru_cache(maxsize=256)
def _accepts(text: str, offered: frozenset[str]) -> bool:
    """Whether a list of media ranges covers one of a few types. Clients send the same few lists over and over."""
    return any(_covers(media_range, offered) for media_range in media_types.split(text))


def _covers(media_range: str, offered: frozenset[str]) -> bool:
    media_type = media_types.parse(media_range)
    if media_type is None:
        return False
    wanted = media_type.essence
    if wanted.endswith("/*"):
        return wanted == "*/*" or any(essence.startswith(wanted[:-1]) for essence in offered)
    return wanted in offered


def _noting_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Doubled(members)
