"""What tests of the shell share: a planned ledger, an environment without proxies, a certificate."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from migrator.transport import credentials
from tests import wire
from tests.plans import changes, make_plan
from tests.shell.identity import Clock
from tests.shell.inputs import Write
from tests.shell.ledgers import STEPS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plan of sixty steps, on lines 2 to 61."""
    return make_plan(tmp_path / "ledger.sqlite", changes(["dev"] * STEPS))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an input file."""

    def write(content: str | bytes, name: str = "offers.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which credentials tell the age of a token."""
    clock = Clock()
    monkeypatch.setattr(credentials, "time", clock)
    return clock


@pytest.fixture(params=wire.CLIENTS)
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send by one client, and once more by the other."""
    monkeypatch.setattr(wire, "CLIENT", request.param)
    return str(request.param)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every proxy out of the environment."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that nobody trusts, with its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    certificate = tmp_path_factory.mktemp("tls") / "certificate.pem"
    order = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    written = ["-keyout", str(certificate.with_name("key.pem")), "-out", str(certificate)]
    subprocess.run(
        [openssl, *order.split(), "-addext", "subjectAltName=IP:127.0.0.1", *written], check=True, capture_output=True
    )
    return certificate


@pytest.fixture(scope="session")
def self_signed(certificate: Path) -> ssl.SSLContext:
    """Make a server's TLS context with a certificate that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
