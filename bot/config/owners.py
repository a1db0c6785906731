"""What config says of whoever has something: how people call them, and their account."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.config.values import Words
from bot.sections import Section


class OwnerSection(Section):
    """Whose a metric is, a slice of one (what falls of it is a ticket of theirs), or a part of what makes a run."""

    owner: Annotated[Words, Field(min_length=1)]  # as people should read it
    assignee: str | None = None  # the tracker's id of an account
