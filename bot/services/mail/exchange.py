"""One exchange with a mail server, and what each of its refusals means. Nothing here repeats one."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import NoReturn, TypeVar

from bot.errors import AccountError, PermanentError, RetryableError, abridge
from bot.runtime.deadline import seconds_left
from bot.services.mail.config import MailSection
from bot.text.escape import to_plain

T = TypeVar("T")

_WORDS = 600  # characters of a server's own words that an error repeats
_OK = 250
_FOR_GOOD = 500  # and above, by RFC 5321: the same again is refused again
_TOO_LARGE = {523, 534, 552}
_GREYLISTED = 300.0  # seconds; a server that puts a stranger off wants some minutes


class Exchange:
    """A connection to the configured server, greeted, encrypted and logged in."""

    def __init__(self, config: MailSection, server: smtplib.SMTP) -> None:
        self._config = config
        self._server = server

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self._server.sock, ssl.SSLSocket)

    def offer(self, to: Sequence[str], size: int = 0) -> None:
        """Name sender and receivers; raises where any is refused, for a letter goes to all of them or to nobody."""
        sender = parseaddr(self._config.sender)[1]
        options = [f"size={size}"] if size and self._server.has_extn("size") else []
        code, said = self._ask("take the sender", lambda: self._server.mail(sender, options))
        if code != _OK:
            kind = PermanentError if code in _TOO_LARGE else AccountError
            self._refuse(f"take {sender} as the sender", code, said, kind)
        for address in to:
            code, said = self._ask(f"take the address {address}", lambda one=address: self._server.rcpt(one))  # type: ignore[misc]
            if code // 100 != _OK // 100:
                self._refuse(f"take the address {address}", code, said, PermanentError)

    def send(self, letter: EmailMessage) -> None:
        """Send the letter to those who were offered it; doubtful where the connection ends before the server's word."""
        content = letter.as_bytes()
        self._limit_time("take the letter")
        try:
            code, said = self._server.data(content)
        except smtplib.SMTPDataError as error:
            code, said = error.smtp_code, _bytes(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            message = f"The mail server did not take the letter as far as we know: {_what_broke(error)}."
            raise RetryableError(message, doubtful=True) from None
        if code != _OK:
            self._refuse("take the letter", code, said, PermanentError)

    def forget(self) -> None:
        """Take back what was offered, so that nothing is sent."""
        self._ask("forget it", self._server.rset)

    def _ask(self, doing: str, ask: Callable[[], T]) -> T:
        self._limit_time(doing)
        with _before_sending(doing):
            return ask()

    def _limit_time(self, doing: str) -> None:
        """Let no step go on past the time that all of one delivery has."""
        seconds = _time_left(self._config, doing)
        if self._server.sock is not None:
            self._server.sock.settimeout(seconds)

    def _refuse(self, doing: str, code: int, said: bytes, for_good: type[AccountError | PermanentError]) -> NoReturn:
        message = f"The mail server did not {doing} ({code}): {self._words(said)}"
        if code < _FOR_GOOD:
            raise RetryableError(message, doubtful=False, retry_after=_GREYLISTED, status=code)
        raise for_good(message, status=code)

    def _words(self, said: bytes) -> str:
        return words_of(self._config, said)


def words_of(config: MailSection, said: bytes) -> str:
    """Return a server's words in one line, without our password."""
    words, secret = to_plain(" ".join(said.decode("utf-8", "replace").split())), config.password.get_secret_value()
    return abridge((words.replace(secret, "<secret>") if secret else words) or "nothing", _WORDS)


@contextmanager
def exchange(config: MailSection) -> Iterator[Exchange]:
    """Connect, encrypt and log in; raises RetryableError, none of them doubtful, for nothing is sent yet."""
    seconds = _time_left(config, "answer")
    context = ssl.create_default_context(cafile=config.ca_file)
    where = f"{config.host}:{config.at_port}"
    with _before_sending(f"answer at {where}"):
        if config.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(config.host, config.at_port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(config.host, config.at_port, timeout=seconds)
    try:
        with _before_sending(f"encrypt the connection to {where}"):
            server.ehlo()
            if config.security == "starttls":
                server.starttls(context=context)
                server.ehlo()
        if config.user:
            _log_in(config, server)
        yield Exchange(config, server)
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()


def _time_left(config: MailSection, doing: str) -> float:
    seconds = min(config.timeout.total_seconds(), seconds_left())
    if seconds <= 0:
        words = "the time for all of one delivery was over before this"
        raise RetryableError(f"The mail server did not {doing}: {words}.", doubtful=False)
    return seconds


def _log_in(config: MailSection, server: smtplib.SMTP) -> None:
    with _before_sending("let us log in"):
        try:
            server.login(config.user, config.password.get_secret_value())
        except smtplib.SMTPAuthenticationError as error:
            said = words_of(config, _bytes(error.smtp_error))
            message = f"The mail server did not let us log in ({error.smtp_code}): {said} Check user and password."
            raise AccountError(message, status=error.smtp_code) from None


@contextmanager
def _before_sending(doing: str) -> Iterator[None]:
    """Say what broke while no letter was on its way."""
    try:
        yield
    except smtplib.SMTPNotSupportedError:
        words = "it offers no such thing; check security, and user"
        raise AccountError(f"The mail server did not {doing}: {words}.") from None
    except smtplib.SMTPResponseException as error:
        message = f"The mail server did not {doing} ({error.smtp_code}): {to_plain(str(error.smtp_error))[:_WORDS]}"
        raise RetryableError(message, doubtful=False, status=error.smtp_code) from None
    except (smtplib.SMTPException, OSError) as error:
        raise RetryableError(f"The mail server did not {doing}: {_what_broke(error)}.", doubtful=False) from None


def _what_broke(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted; where it is a private authority's, set ca_file"
        case socket.gaierror():
            return "there is no host of that name"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "it takes no connections"
        case ssl.SSLError():
            return "it speaks no TLS there; check security and port"
        case _:
            return f"the connection broke off ({type(error).__name__})"


def _bytes(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode()
