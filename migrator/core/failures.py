"""What it proves that a request ended with an exception of the HTTP client: nothing was sent, or nobody knows.

What belongs here: one line for each exception of aiohttp, by the name of its class, because the core knows no network.
What must never: a guess. Only what aiohttp raises before it has a connection for the request to leave on proves that
the request has not left (`reference/resumption.md` section 4); everything else leaves it in doubt, even if it most
likely came before the first byte: a tunnel that a proxy drops, a time-out of the whole request that was still
connecting. A doubt costs a look; a wrong proof costs a change that is applied twice.

That each line is true is tried on sockets in `tests/shell/test_failures.py`, which also fails for an exception of
aiohttp that has no line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrator.core.model import FailureKind

NOT_SENT, LOST = FailureKind.NOT_SENT, FailureKind.LOST

PROOF: Mapping[str, FailureKind] = {
    # No connection came to stand.
    "ClientConnectorError": NOT_SENT,  # refused, or ended while connecting or shaking hands
    "ClientConnectorDNSError": NOT_SENT,
    "ClientSSLError": NOT_SENT,
    "ClientConnectorSSLError": NOT_SENT,
    "ClientConnectorCertificateError": NOT_SENT,
    "ServerFingerprintMismatch": NOT_SENT,
    "UnixClientConnectorError": NOT_SENT,
    "ConnectionTimeoutError": NOT_SENT,
    # A proxy is in the way. What it was asked for is a tunnel; the request itself would have come after that.
    "ClientProxyConnectionError": NOT_SENT,
    "ClientHttpProxyError": NOT_SENT,
    # There is nowhere to connect to.
    "InvalidURL": NOT_SENT,
    "InvalidUrlClientError": NOT_SENT,
    "NonHttpUrlClientError": NOT_SENT,
    # An answer sent us on. We do not follow, and what sent us has had the request.
    "RedirectClientError": LOST,
    "InvalidUrlRedirectClientError": LOST,
    "NonHttpUrlRedirectClientError": LOST,
    "TooManyRedirects": LOST,
    # The connection broke. A kept-alive one may have been dead before the first byte, and looks the same.
    "ServerDisconnectedError": LOST,
    "ClientOSError": LOST,
    "ClientConnectionResetError": LOST,
    "ClientConnectionError": LOST,
    "ServerConnectionError": LOST,
    "UploadAbortedError": LOST,
    # Too late: of the whole request, wherever it was; of a read.
    "ServerTimeoutError": LOST,
    "SocketTimeoutError": LOST,
    # An answer came, and cannot be read.
    "ClientResponseError": LOST,
    "ClientPayloadError": LOST,
    "ContentTypeError": LOST,
    "WSServerHandshakeError": LOST,
    "WSMessageTypeError": LOST,
    # What the others are made of. Raised as they are they say nothing about when.
    "ClientError": LOST,
    "OSError": LOST,
    "ConnectionError": LOST,
    "ConnectionResetError": LOST,
    "TimeoutError": LOST,
    "SSLError": LOST,
    "SSLCertVerificationError": LOST,
}
"""By the name of an exception's class: what the exception proves."""


def proven_by(names: Iterable[str]) -> FailureKind:
    """Say what an exception proves.

    Args:
        names: those of its class and of the classes above it, nearest first. The first that is known decides, and what
            is not known at all proves nothing.
    """
    return next((PROOF[name] for name in names if name in PROOF), LOST)
