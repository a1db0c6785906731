"""One message to see whether a chat works, sent once whatever becomes of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from bot.config.models import Config
from bot.connections import to_chat
from bot.domain.message import MessageDocument
from bot.errors import ConfigError, IntegrationError, RetryableError
from bot.render.renderer import Renderer
from bot.text.locales import Locale


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the message to one channel."""

    ok: bool
    said: str


def try_chat(config: Config, name: str | None, channel: str | None) -> Iterator[Tried]:
    """Post to the channels of a chat, each once; raises ConfigError where config has none such."""
    name = _name_of(config, name)
    channels = (channel,) if channel else _channels_of(config, name)
    if not channels:
        raise ConfigError(f"chat.{name}: no pipeline and no digest names a channel of it: give one with --channel")
    chat = to_chat(config.chat[name]).make()
    for each in channels:
        mark = f"test message {secrets.token_hex(4)}"  # no incident's, by which it would be known again
        try:
            words = Renderer(_locale_of(config, name, each)).word("test_message")
            posted = chat.post(each, mark, MessageDocument.read(f"tone: good\n{words}"))
        except RetryableError as error:
            what = "may or may not have been posted: look there before you try again" if error.doubtful else "failed"
            yield Tried(ok=False, said=f"{name} {each}: {what}. {error}")
        except IntegrationError as error:
            yield Tried(ok=False, said=f"{name} {each}: failed. {error}")
        else:
            yield Tried(ok=True, said=f"{name} {each}: posted" + (f", {posted.url}" if posted.url else "."))


def _locale_of(config: Config, name: str, channel: str) -> Locale:
    readers = [each for each, section in config.pipeline.items() if (section.chat, section.channel) == (name, channel)]
    return config.locale_of(readers[0] if readers else "", name, channel)


def _name_of(config: Config, name: str | None) -> str:
    known = sorted(config.chat)
    if name is None and len(known) == 1:
        return known[0]
    if name not in config.chat:
        if not known:
            raise ConfigError("chat: the configuration has none to try")
        asked = "say which chat to try" if name is None else f"there is no chat {name!r}"
        raise ConfigError(f"chat: {asked}; the configuration has {', '.join(known)}")
    return name


def _channels_of(config: Config, name: str) -> tuple[str, ...]:
    found = [each.channel for each in config.pipeline.values() if each.chat == name]
    if config.digest is not None and config.digest.chat == name:
        found.append(config.digest.channel)
    return tuple(dict.fromkeys(each for each in found if each))
