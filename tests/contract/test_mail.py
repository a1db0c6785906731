"""Letters reach a real mail server, encrypted and logged in, and what it refuses is said in its own words."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from bot.domain.message import MessageDocument, Picture
from bot.errors import AccountError, IntegrationError, PermanentError, RetryableError
from bot.ports import Posted
from bot.runtime.deadline import ending_at
from bot.services.mail.chat import MailChat
from bot.services.mail.checks import check_mail
from bot.services.mail.config import MailSection
from bot.services.mail.letter import subject_of
from tests.certificates import write_certificate

TO = "ranking@example.com"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECRET = "53cr3t-p4ss"
DOCUMENT = replace(
    MessageDocument.read(
        "tone: bad\n**Ranking** fell: <0.14> & `ndcg`\n\n• one\n• [two](https://mlflow/2)\n\n> Owner: search"
    ),
    cause="tell_channel:mail/message/x:run5",
    pictures=(Picture("history-1f2e.png", b"\x89PNG fine", caption="3 = 护肤品 <new>"),),
)


@dataclass
class Post:
    """A mail server's mind: what it has, and what it will say next."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # by address
    says: str = "250 taken"
    hangs_up: bool = False

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.says.startswith("250"):
            self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
            self.receivers.append(envelope.rcpt_tos)
            self.encrypted.append(session.ssl is not None)
        if self.hangs_up:
            server.transport.abort()
        return self.says


def log_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"herald", SECRET.encode()), handled=False)


@contextmanager
def served(certificate: Any, **more: Any) -> Iterator[Post]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    post = Post(port)
    asked = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": log_in, **more}
    controller = Controller(post, hostname="127.0.0.1", port=port, **asked)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_certificate(tmp_path_factory.mktemp("mail") / "server.pem")


@pytest.fixture(scope="module")
def running(certificate: Any) -> Iterator[Post]:
    with served(certificate) as post:
        yield post


@pytest.fixture
def post(running: Post) -> Post:
    vars(running).update(vars(Post(running.port)))
    return running


def section(post: Post, certificate: Any, **more: Any) -> MailSection:
    values = {"host": "127.0.0.1", "port": post.port, "sender": "Herald <herald@example.com>", "user": "herald"}
    values |= {"password": SECRET, "ca_file": str(certificate), "timeout": timedelta(seconds=5), **more}
    return MailSection(**values)


def told(post: Post, certificate: Any, document: MessageDocument = DOCUMENT, channel: str = TO, **more: Any) -> Posted:
    return MailChat(section(post, certificate, **more)).post(channel, "house-abc", document)


def test_a_letter_goes_out_encrypted_with_both_parts_and_the_chart_in_it(post, certificate):
    posted = told(post, certificate, channel=f"{TO},plan@example.com")
    [letter] = post.letters
    assert post.encrypted == [True]
    assert post.receivers == [[TO, "plan@example.com"]]
    assert letter["Subject"] == "Ranking fell: <0.14> & ndcg"
    assert letter["Message-ID"] == posted.message_id
    assert letter["Auto-Submitted"] == "auto-generated"
    plain, html, picture = [each for each in letter.walk() if not each.is_multipart()]
    assert "two <https://mlflow/2>" in plain.get_content()
    assert "[history-1f2e.png] 3 = 护肤品 <new>" in plain.get_content()
    assert ">3 = 护肤品 &lt;new&gt;</p>" in html.get_content()
    assert "<style" not in html.get_content()
    assert "&lt;0.14&gt; &amp; <code style=" in html.get_content()
    assert '<a href="https://mlflow/2" style=' in html.get_content()
    assert 'src="cid:history-1f2e.png" alt="Ranking fell: <0.14> &amp; ndcg"' in html.get_content()
    assert (picture.get_filename(), picture.get_content()) == ("history-1f2e.png", b"\x89PNG fine")


@pytest.mark.parametrize(
    ("headline", "subject"),
    [
        ("Ranking: NDCG fell by 14.8 %, from 0.171 to 0.146; runs differ by 0.0019. Hit rate too.", "Ranking: NDCG fell by 14.8 %, from 0.171 to 0.146"),
        ("All quiet. Nothing needs you.", "All quiet"),
        ("下一单预测：排序质量下降 14.8%（由 0.171 降至 0.146）；各次运行之间通常相差约 0.0019。命中率同时变差。", "下一单预测：排序质量下降 14.8%（由 0.171 降至 0.146）"),
        (f"{'The ranker of the shop ' * 3}down, which is long, fell", f"{'The ranker of the shop ' * 3}down…"),
        ("x" * 90, f"{'x' * 77}…"),
    ],
)  # fmt: skip
def test_a_subject_is_the_first_thing_a_headline_says_on_one_line(headline, subject):
    assert subject_of(MessageDocument.read(headline)) == subject
    assert len(subject) <= 78


def test_the_same_letter_again_is_one_and_the_next_turn_stands_in_its_thread(post, certificate):
    for document in (DOCUMENT, DOCUMENT, replace(DOCUMENT, cause="another")):
        told(post, certificate, document)
    first, again, later = post.letters
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert len({each["References"] for each in post.letters}) == 1


def test_a_refused_address_is_said_and_nobody_is_written_to(post, certificate):
    post.refused["gone@example.com"] = "550 5.1.1 no such user here"
    with pytest.raises(PermanentError, match=r"gone@example.com \(550\): 5.1.1 no such user here"):
        told(post, certificate, channel=f"{TO},gone@example.com")
    assert post.letters == []


@pytest.mark.parametrize(
    ("says", "kind", "doubtful"),
    [
        ("554 5.7.1 looks like spam", PermanentError, None),
        ("552 5.3.4 too large", PermanentError, None),
        ("451 4.7.1 come back later", RetryableError, False),
    ],
)
def test_what_the_server_says_to_a_letter_is_what_becomes_of_it(post, certificate, says, kind, doubtful):
    post.says = says
    with pytest.raises(kind, match=says[10:]) as caught:
        told(post, certificate)
    assert getattr(caught.value, "doubtful", None) is doubtful


def test_a_letter_over_the_servers_size_is_refused_before_it_is_sent(certificate):
    with served(certificate, data_size_limit=900) as post, pytest.raises(PermanentError, match="552"):
        told(post, certificate)


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_that_ends_before_the_servers_word_leaves_a_doubt(post, certificate, committed):
    post.hangs_up, post.says = True, "250 taken" if committed else "450 not now"
    with pytest.raises(RetryableError) as caught:
        told(post, certificate)
    assert caught.value.doubtful
    assert len(post.letters) is int(committed)


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"password": "wr0ng-p4ss"}, AccountError, "did not let us log in"),
        ({"user": ""}, AccountError, "as the sender"),
        ({"ca_file": None}, RetryableError, "its certificate is not trusted"),
        ({"security": "tls"}, RetryableError, "it speaks no TLS there"),
        ({"port": 1}, RetryableError, "it takes no connections"),
    ],
)
def test_what_keeps_us_out_is_no_fault_of_the_letter(post, certificate, more, kind, words):
    with pytest.raises(kind, match=words) as caught:
        told(post, certificate, **more)
    assert not caught.value.doubtful
    assert "p4ss" not in str(caught.value)
    assert post.letters == []


def test_a_delivery_that_has_no_time_left_sends_nothing(post, certificate):
    with ending_at(time.monotonic() - 1), pytest.raises(RetryableError, match="the time for all of one delivery"):
        told(post, certificate)
    assert post.letters == []


def test_a_server_that_cannot_encrypt_is_told_nothing(certificate):
    with served(certificate, tls_context=None, require_starttls=False, auth_required=False) as post:
        with pytest.raises(AccountError, match="encrypt the connection"):
            told(post, certificate)
        assert post.letters == []


@pytest.mark.parametrize("channel", ["#ranking", "a@example.com,b", "", "Ann <ann@example.com>"])
def test_a_channel_that_is_no_address_is_refused(post, certificate, channel):
    with pytest.raises(PermanentError, match="channel: "):
        told(post, certificate, channel=channel)


def test_a_user_without_encryption_is_refused_in_the_configuration():
    with pytest.raises(ValueError, match="should have security"):
        MailSection(host="h", sender="a@example.com", user="u", security="none")


def test_the_doctor_writes_to_nobody(post, certificate):
    post.refused["gone@example.com"] = "550 no such user"
    found = list(check_mail(section(post, certificate), [TO, "gone@example.com", "#x"], NOW))
    assert [(each.name, each.ok) for each in found] == [
        ("address", True),
        ("credentials", True),
        (f"channel {TO}", True),
        ("channel gone@example.com", False),
        ("channel #x", False),
    ]
    assert "encrypted" in found[0].said
    assert post.letters == []
    refused = list(check_mail(section(post, certificate, password="wr0ng-p4ss"), [TO], NOW))
    assert [(each.name, each.ok) for each in refused] == [("credentials", False)]


def test_no_error_carries_what_stands_behind_it(post, certificate):
    with pytest.raises(IntegrationError) as caught:
        told(post, certificate, port=1)
    assert caught.value.__cause__ is None
