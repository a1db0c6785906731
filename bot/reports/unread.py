"""What a run was judged without, in a sentence for a terminal; pages have it from the templates."""

from __future__ import annotations

from bot.domain.runs import Trouble, Unread

_SENTENCES = {
    Trouble.FOLDER: "{0.artifact} is a folder, where a file should be",
    Trouble.NOT_HAD: "{0.artifact} could not be fetched: {0.detail}",
    Trouble.TOO_LARGE: "{0.artifact} is too large to be read: {0.detail}",
    Trouble.BROKEN: "{0.artifact} cannot be read: {0.detail}",
    Trouble.IN_PART: "{0.artifact} was read in part; left out: {0.detail}",
    Trouble.ABSENT: "{0.artifact} is not there, though most of the runs before brought one",
    Trouble.NOT_COMPARED: "{0.artifact} was read, but broke the comparison by examples: {0.detail}",
}


def say_unread(unread: Unread) -> str:
    return _SENTENCES[unread.trouble].format(unread)
