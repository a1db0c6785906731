"""One comment, heard once: whether it says anything to Herald, and whether who wrote it may."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot.config.models import Config
from bot.domain.rules import Medium, Person
from bot.ports import Comment
from bot.store import Database, heard
from bot.store.heard import Became
from bot.triage.answering import Answering, mark_of, reply_to
from bot.triage.statements import Matter, is_for_nobody, statement_of


@dataclass(frozen=True, slots=True)
class Hearing:
    """Hears comments, wherever they stand."""

    config: Config
    database: Database
    answering: Answering
    clock: Callable[[], datetime]

    def hear(
        self,
        matter: Matter,
        comment: Comment,
        medium: Medium,
        me: Person,
        may: Callable[[Person], bool],
        answered: Collection[str | None] = (),
    ) -> None:
        """Act on a comment that was not heard before; *answered* are the marks of replies that stand there already.

        A state that was lost, or brought back from a backup, does not know what it had answered: the replies do.
        """
        today = self.clock().astimezone(self.config.zone_of(matter.pipeline)).date()
        assert matter.target is not None
        statement = statement_of(comment, medium, matter.target, today)
        said = statement.said_at
        is_nobodys = is_for_nobody(comment, me)
        with self.database.begin() as tx:
            if heard.which(tx, said.service, said.place, [said.said_id]):
                return
            if is_nobodys or not statement.commands or mark_of(reply_to(matter, statement)) in answered:
                self.answering.pass_over(tx, statement, Became.NOTHING if is_nobodys else Became.SPOKEN)
                return
        is_allowed = may(comment.author)  # asks the service: no transaction waits for it
        with self.database.begin() as tx:
            if is_allowed:
                self.answering.act(tx, matter, statement)
            else:
                self.answering.refuse(tx, matter, statement)
