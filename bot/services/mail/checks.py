"""Whether a mail server lets Herald do what it will have to; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.services.mail.chat import addresses_in
from bot.services.mail.config import MailSection
from bot.services.mail.exchange import exchange


def check_mail(config: MailSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """Connect, encrypt, log in, and offer each channel a letter that is then taken back."""
    del now  # a mail server does not tell its time
    where = f"{config.host}:{config.at_port}"
    try:
        with exchange(config) as server:
            how = "encrypted" if server.is_encrypted else "not encrypted"
            yield Check("address", ok=True, said=f"{where} answers, {how}")
            if config.user:
                yield Check("credentials", ok=True, said=f"we are {config.user}")
    except AccountError as error:
        yield Check("credentials", ok=False, said=str(error), remedy="Set user and password as the server knows them.")
        return
    except IntegrationError as error:
        yield Check("address", ok=False, said=str(error), remedy="Check host, port, security and ca_file.")
        return
    for channel in channels:
        yield _check_channel(config, channel)


def _check_channel(config: MailSection, channel: str) -> Check:
    name = f"channel {channel}"
    try:
        with exchange(config) as server:
            server.offer(addresses_in(channel))
            server.forget()
    except PermanentError as error:
        return Check(name, ok=False, said=str(error), remedy="Name an address that the server takes.")
    except AccountError as error:
        return Check(name, ok=False, said=str(error), remedy="Name a sender that the server lets us write as.")
    except IntegrationError as error:
        return Check(name, ok=True, said=f"the server does not say; the first letter will show it ({error})")
    return Check(name, ok=True, said="the server would take a letter; nothing was sent")
