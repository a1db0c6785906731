"""Certificates are verified; a private authority can be named."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import RetryableError
from tests.contract.acts import WRITES, Act
from tests.contract.breakable import Breakable, breakable

NAMES = (
    "jira create",
    "trello comment",
    "confluence label",
    "confluence datacenter create",
    "slack post",
    "webhook post",
)
every_adapter = pytest.mark.parametrize("act", [WRITES[name] for name in NAMES], ids=NAMES)


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
