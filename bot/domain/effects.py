"""Effects: the changes owed to the outside world, and which of them an event calls for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bot.domain.objects import ObjectKey, ObjectKind

_MENDED = "+"  # in a cause: the same words once more


class EffectKind(StrEnum):
    OPEN_TICKET = "open_ticket"
    COMMENT_TICKET = "comment_ticket"
    RESOLVE_TICKET = "resolve_ticket"
    LINK_TICKET = "link_ticket"
    ATTACH_TO_TICKET = "attach_to_ticket"
    ATTACH_TEXT = "attach_text"  # the whole text of a ticket that was cut
    ATTACH_COMMENT = "attach_comment"  # and of a comment
    PUBLISH_ARCHIVE = "publish_archive"  # the page of a year, below which its runs' pages are
    PUBLISH_PAGE = "publish_page"
    LABEL_PAGE = "label_page"
    ATTACH_TO_PAGE = "attach_to_page"
    UPDATE_SECTION = "update_section"
    TELL_CHANNEL = "tell_channel"
    REPLY_IN_THREAD = "reply_in_thread"
    SHARE_CHART = "share_chart"  # in a message's thread
    POST_DIGEST = "post_digest"
    PUBLISH_DIGEST = "publish_digest"


@dataclass(frozen=True, slots=True)
class Effect:
    """One change owed; its id follows from what it changes and what caused it, so it is owed once."""

    kind: EffectKind
    target: ObjectKey
    cause: str  # the run or fire, and the turn of the incident, that called for it
    incident_id: str | None = None
    needs: tuple[ObjectKey, ...] = ()  # must exist before this can be delivered

    @property
    def effect_id(self) -> str:
        return f"{self.kind}:{self.target}:{self.cause}"

    def mend(self, shown: ObjectKind) -> Effect:
        """Return the effect that says the same once more, now that what it could not show is there."""
        return replace(self, cause=f"{self.cause}{_MENDED}{shown}")

    @property
    def is_mend(self) -> bool:
        return _MENDED in self.cause

    @property
    def root_id(self) -> str:
        """Return the id of the effect whose words these are: of a mend, that which it mends."""
        return replace(self, cause=self.cause.split(_MENDED, 1)[0]).effect_id

    @property
    def lane(self) -> str:
        """Name the queue this waits in: effects of one lane are delivered in the order in which they were owed.

        What other effects on the same object need not wait for has a lane of its own, so that a ticket's comments do
        not wait for the page that a link on it shows.
        """
        return f"{self.target}/{self.kind}" if self.kind in ASIDE else str(self.target)


ASIDE = (  # what other effects on the same object need not wait for
    EffectKind.LINK_TICKET,
    EffectKind.ATTACH_TO_TICKET,
    EffectKind.ATTACH_TEXT,
    EffectKind.ATTACH_COMMENT,
    EffectKind.LABEL_PAGE,
    EffectKind.ATTACH_TO_PAGE,
    EffectKind.REPLY_IN_THREAD,
    EffectKind.SHARE_CHART,
)
CREATING = (
    EffectKind.OPEN_TICKET,
    EffectKind.PUBLISH_ARCHIVE,
    EffectKind.PUBLISH_PAGE,
)  # nothing later on the object can do without
