"""Whether DingTalk lets Herald do what it will have to; nothing is posted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.services.checks import unanswered, unsaid
from bot.services.dingtalk.config import DingtalkSection
from bot.services.dingtalk.connection import DingtalkConnection


def check_dingtalk(config: DingtalkSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """Ask for a token, and look whether each channel is a group's id: DingTalk tells an app no more without posting."""
    del now
    try:
        DingtalkConnection(config).say_who_we_are()
    except (AccountError, PermanentError) as error:
        yield Check("credentials", ok=False, said=str(error), remedy="Set app_key and app_secret.")
        return
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers")
    yield Check("credentials", ok=True, said=f"we are the app {config.app_key}")
    for channel in channels:
        name = f"channel {channel}"
        if channel.startswith("cid"):
            yield unsaid(name, "DingTalk")
        else:
            remedy = "Name it by its openConversationId, cid…"
            yield Check(name, ok=False, said="is no id of a group", remedy=remedy)
