"""Whether a webhook lets Herald do what it will have to: little can be known without posting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bot.domain.checks import Check
from bot.services.checks import listed
from bot.services.hooks import host_of
from bot.services.reachability import look_for_webhook
from bot.services.webhook_section import HookSection


def check_hook(config: HookSection, channels: Sequence[str], now: datetime, *, path: str = "") -> Iterator[Check]:
    """Look at the address, in which *path* has to stand: a webhook answers nothing but a message."""
    del now  # and no clock to compare
    host = host_of(config.webhook_url)
    told = listed(sorted(set(channels)))
    if path and path not in config.webhook_url.get_secret_value():
        remedy = f"Set the whole address that the chat gave for the webhook; it has {path} in it."
        yield Check("address", ok=False, said=f"webhook_url leads to {host}, but to no webhook", remedy=remedy)
        return
    yield look_for_webhook(config.webhook_url.get_secret_value(), told, config.timeout)
