"""What services can take and do: every section of the configuration says it of its own, before any is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class TicketState(StrEnum):
    """The status category of a ticket, whatever its status is called."""

    TODO = "todo"
    DOING = "doing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a service reads what is written for it."""

    name: str  # of the service, as people know it
    dialect: str  # its markup, `wiki` or `mrkdwn`: see `bot.render.dialects`
    folder: str  # of its templates
    limit: int  # of one text, in UTF-16 units, as the services count
    paragraph_limit: int | None = None  # of one paragraph of a message


class Promise(StrEnum):
    """How often a message arrives, whatever breaks."""

    ONCE = "once"  # it is looked for before it is sent again
    AT_MOST_ONCE = "at_most_once"  # it cannot be looked for, and is not sent again
    AT_LEAST_ONCE = "at_least_once"  # it cannot be looked for, and is sent again
    KEYED = "keyed"  # it is sent again under its own key, by which the service makes no second of it


@dataclass(frozen=True, slots=True)
class ChatCapabilities:
    """What a chat can do, as it is configured."""

    edits: bool = False  # a message can be edited, answered and found again
    threads: bool = False  # what repeats and what has recovered is also said in a message's thread
    charts: bool = False  # a chart is shown there
    attaches: bool = False  # ... and goes with the message itself
    budget: int = 0  # bytes of one message, as it is sent; 0: whatever its text form lets through
    gap: timedelta = timedelta(seconds=1)  # between two messages
    is_one_place: bool = False  # whatever channels config names: that distance holds for all of its messages together
    key_lasts: timedelta | None = None  # a message's own key, by which the service knows a repetition; None: for ever
