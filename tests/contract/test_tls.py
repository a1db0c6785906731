"""Certificates are verified; a private authority can be named."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.errors import RetryableError
from tests.contract.breakable import Breakable, breakable
from tests.contract.test_outcomes import WRITES, Act

NAMES = (
    "jira create",
    "trello comment",
    "confluence label",
    "confluence datacenter create",
    "slack post",
    "webhook post",
)
every_adapter = pytest.mark.parametrize("act", [WRITES[name] for name in NAMES], ids=NAMES)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a certificate of 127.0.0.1, its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private authority")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Breakable]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with breakable(context) as running:
        yield running


@every_adapter
def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(act: Act, server: Breakable):
    with pytest.raises(RetryableError, match=r"certificate of 127\.0\.0\.1 is not trusted.*ca_file") as caught:
        act.call(act.make(server.url))
    assert not caught.value.doubtful
    assert server.requests == []


@every_adapter
@pytest.mark.parametrize("bundle", ["unset", "of the environment"])
def test_a_private_authority_that_config_names_is_trusted(
    act: Act, server: Breakable, certificate: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    if bundle != "unset":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().cafile or "/etc/ssl/cert.pem")
    server.reply = lambda _: act.proof
    act.call(act.make(server.url, ca_file=str(certificate)))
    assert server.requests
