"""Everything that touches the network: the HTTP session, the credentials, and the throttle in front of them."""

from __future__ import annotations
