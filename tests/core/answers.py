"""Answers as the service gives them, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from migrator.core.model import Response

NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC).timestamp()


def response(status: int, body: Any = b"", **headers: str) -> Response:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)
