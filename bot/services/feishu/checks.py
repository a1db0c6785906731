"""Whether Feishu lets Herald do what it will have to; nothing is posted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.services.checks import unanswered, unsaid, walled
from bot.services.evidence import object_in
from bot.services.feishu.config import FeishuSection
from bot.services.feishu.connection import FeishuConnection


def check_feishu(config: FeishuSection, channels: Sequence[str], now: datetime) -> Iterator[Check]:
    """Ask who the bot is, and for each chat whether it is in it."""
    del now
    link = FeishuConnection(config)
    try:
        name = link.call(
            "say who we are", "GET", "bot/v3/info", lambda said: str(object_in(said, "bot").get("app_name"))
        )
    except (AccountError, PermanentError) as error:
        yield Check(
            "credentials", ok=False, said=str(error), remedy="Set app_id and app_secret; turn on the app's bot."
        )
        return
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers")
    yield Check("credentials", ok=True, said=f"we are {name}")
    for channel in channels:
        yield from walled(f"channel {channel}", partial(_check_channel, link, channel))


def _check_channel(link: FeishuConnection, channel: str) -> Iterator[Check]:
    """Ask for the chat, which a bot may where it has im:chat:readonly."""
    check = f"channel {channel}"
    if not channel.startswith("oc_"):
        yield Check(check, ok=False, said="is no id of a chat", remedy="Name it by its id, oc_…, as its settings show.")
        return
    try:
        chat = link.call(f"show {channel}", "GET", f"im/v1/chats/{channel}", lambda said: object_in(said, "data"))
    except AccountError as error:
        if str(error).find("(99991672)") < 0 and str(error).find("(230027)") < 0:
            raise
        yield unsaid(check, "Feishu", "the app lacks im:chat:readonly, which Herald itself does not need")
        return
    yield Check(check, ok=True, said=f"we are in {chat.get('name') or channel}")
