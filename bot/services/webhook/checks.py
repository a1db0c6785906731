"""Whether a webhook lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from bot.domain.checks import Check
from bot.services.checks import listed
from bot.services.reachability import look_for_webhook
from bot.services.webhook.config import WebhookSection


def check_webhook(config: WebhookSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """A webhook answers nothing but a message, so there is little to look at."""
    del now  # and no clock to compare
    host = urlsplit(config.webhook_url.get_secret_value()).hostname
    if host is None:
        remedy = "Set the whole address that the chat gave for the webhook."
        yield Check("address", ok=False, said="webhook_url is no address", remedy=remedy)
        return
    told = listed(sorted(set(channels)))
    yield look_for_webhook(config.webhook_url.get_secret_value(), told, config.timeout)
