"""Effects as a closed sum: what each is stored as, by this version and by earlier ones, and what its traits say."""

import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot.delivery import carrier, effect_table
from bot.delivery.attempt import Attempt, TicketFields
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.effects import BY_KIND, EFFECTS, Effect, OpenTicket, PageEffect, TicketEffect
from bot.errors import PermanentError
from bot.store import Database, outbox
from bot.store.effect_json import dump_effect, effect_class, load_effect
from bot.store.owed import EffectState, Owed
from bot.store.tables import outbox as table
from tests.unit.delivery_bench import PARENT, RENDERER, Bench
from tests.unit.state_samples import INCIDENT, MESSAGE, NOON, PAGE, TICKET

SINCE = {
    "reopen_ticket",
    "answer_comment",
    "answer_in_thread",
    "update_ledger",
    "assign_ticket",
    "open_umbrella",
    "comment_umbrella",
    "attach_examples",
    "attach_examples_to_page",
}
EARLIER = Path(__file__).with_name("earlier_outbox.sql")  # an effect of each kind, owed by the version before this sum


@pytest.fixture
def earlier(tmp_path) -> Database:
    """Open the state of an earlier version, as an upgrade does."""
    connection = sqlite3.connect(tmp_path / "herald.db")
    connection.executescript(EARLIER.read_text(encoding="utf-8"))
    connection.close()
    database = Database(f"sqlite:///{tmp_path / 'herald.db'}")
    database.migrate()
    yield database
    database.close()


@given(st.sampled_from(EFFECTS).flatmap(st.from_type))
def test_an_effect_survives_being_written_down(effect: Effect):
    assert load_effect(dump_effect(effect)) == effect


def test_an_effect_is_stored_letter_by_letter_as_earlier_versions_did(earlier):
    with earlier.begin() as tx:
        stored = list(tx.scalars(select(table.c.effect)))
    assert {load_effect(text).kind for text in stored} == set(BY_KIND) - SINCE
    assert [dump_effect(load_effect(text)) for text in stored] == stored


def test_an_effect_of_an_unknown_kind_is_refused_by_name():
    text = dump_effect(OpenTicket(TICKET, "opened", INCIDENT)).replace("open_ticket", "frame_ticket")
    with pytest.raises(ValueError, match="'frame_ticket' is not one of"):
        load_effect(text)


@pytest.mark.parametrize("kind", BY_KIND)
def test_an_effect_is_found_by_the_kind_it_is_stored_under(kind):
    assert effect_class(kind).kind == kind


def test_everything_an_earlier_version_owed_is_read_whole(earlier):
    with earlier.begin() as tx:
        owed = outbox.outstanding(tx)
    assert {each.effect.kind for each in owed} == set(BY_KIND) - SINCE
    for each in owed:
        assert isinstance(each.view, each.effect.traits.view), each.effect.kind


@pytest.mark.parametrize("is_doubtful", [False, True])
def test_everything_an_earlier_version_owed_is_delivered_once(earlier, is_doubtful):
    bench = Bench(earlier)
    if is_doubtful:  # it had died after marking them as sent
        with earlier.begin() as tx:
            tx.execute(update(table).values(sent_at=NOON))
    assert bench.drain(timedelta(minutes=5)).failures == []
    assert bench.owed == []
    titles = (PARENT.name, "Search 2026 (Herald test)", PAGE.name, "Status of 24 Nov 2026")
    assert [title for title in titles if bench.wiki.find(title) is None] == []
    assert bench.ticket.state is TicketState.DONE
    assert [link.title for link in bench.ticket.links.values()] == [PAGE.name]
    names = {"history-1.png", "whole-text"}
    assert names <= {re.sub(r"-[0-9a-f]{8}\.md", "", name) for name in bench.ticket.attachments}
    told, digest_message = bench.chat.messages
    assert MESSAGE.name.endswith(told.mark)
    assert digest_message.mark == "test-digest"


def test_the_page_of_doubtful_ends_shows_the_traits_as_they_are():
    page = (Path(__file__).parents[2] / effect_table.PAGE).read_text(encoding="utf-8")
    assert effect_table.renewed(page) == page


def attempt_at(kind: type[Effect]) -> Attempt:
    """Attempt an effect again whose first request's end is not known, on services that config no longer has."""
    object_kind = TICKET if kind in get_args(TicketEffect) else PAGE if kind in get_args(PageEffect) else MESSAGE
    owed = Owed(1, kind(object_kind, "run5"), None, "search", EffectState.PENDING, 1, NOON, NOON, None, NOON)
    return Attempt(owed, Services({}, {}, {}), RENDERER, TicketFields(), {}, NOON)


@pytest.mark.parametrize("kind", [each for each in EFFECTS if not each.traits.doubt.is_looked_for])
def test_what_changes_nothing_the_second_time_is_not_looked_for(kind):
    assert carrier.settle(attempt_at(kind)) is None


@pytest.mark.parametrize("kind", [each for each in EFFECTS if each.traits.doubt.is_looked_for])
def test_what_would_stand_twice_is_looked_for(kind):
    with pytest.raises((PermanentError, TypeError), match=r"no longer in the configuration|carries a NoneType"):
        carrier.settle(attempt_at(kind))
