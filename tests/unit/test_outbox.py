"""What is owed: stored once, handed out in order, held by lease."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bot.domain.effects import CommentTicket, LinkTicket, OpenTicket, ResolveTicket, TellChannel
from bot.domain.objects import ObjectKind
from bot.store import claims, objects, outbox, stale_texts
from bot.store.owed import EffectState, ParkedFor
from tests.unit.state_samples import (
    INCIDENT,
    MESSAGE,
    MINUTE,
    NOON,
    PAGE,
    SECOND,
    TICKET,
    comment,
    known,
    label,
    link,
    open_ticket,
    owe,
    owed_kinds,
    resolve,
    tell,
)

A, B = "host/1/1/a", "host/2/2/b"


def claim(database, owner=A, now=NOON, until=NOON + 5 * MINUTE):
    with database.begin() as tx:
        claims.free_dropped(tx, owner, now, now, at_work=range(1000))
        return claims.claim_next(tx, owner, now, until)


def send(database, owed, owner=A, now=NOON) -> bool:
    with database.begin() as tx:
        return claims.mark_sent(tx, owed, owner, now)


def deliver(database, owner=A, now=NOON):
    """Claim and deliver the next effect; return its kind and cause, or None."""
    owed = claim(database, owner, now)
    if owed is None:
        return None
    with database.begin() as tx:
        claims.mark_delivered(tx, owed, now)
    return owed.effect.kind, owed.effect.cause


def park(database, owner=A):
    owed = claim(database, owner)
    with database.begin() as tx:
        claims.mark_parked(tx, owed, owner, NOON, ParkedFor.REFUSED, "the project is gone")
    return owed


# ---- owing


def test_an_effect_is_owed_once_however_often_it_is_stored(database):
    owe(database, open_ticket(), comment("a"))
    owe(database, open_ticket(), comment("a"), comment("b"))
    assert owed_kinds(database) == ["open_ticket", "comment_ticket", "comment_ticket"]


def test_an_effect_that_was_delivered_is_not_owed_again(database):
    owe(database, open_ticket())
    deliver(database)
    owe(database, open_ticket())
    assert owed_kinds(database) == []


def test_an_effect_that_two_store_at_once_is_owed_once(database):
    together = threading.Barrier(6)

    def store(_: int) -> None:
        together.wait()
        owe(database, open_ticket(), comment("a"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(store, range(6)))
    assert owed_kinds(database) == ["open_ticket", "comment_ticket"]


@pytest.mark.parametrize("effect", [open_ticket(report=PAGE), comment("a"), resolve("a"), link(), label(), tell("a")])
def test_an_effect_comes_back_with_what_it_shows(database, effect):
    owe(database, effect)
    owed = claim(database)
    assert (owed.effect, owed.view, owed.pipeline) == (*effect, "search")


# ---- order


def test_effects_on_one_object_are_handed_out_one_after_the_other(database):
    owe(database, open_ticket(), comment("a"), comment("b"))
    assert claim(database).effect.kind == OpenTicket.kind
    assert claim(database) is None
    assert claim(database, B) is None


def test_effects_are_delivered_in_the_order_in_which_they_were_owed(database):
    owe(database, open_ticket(), tell("a"), comment("a"))
    owe(database, comment("b"), resolve("b"), tell("b"))
    order = [deliver(database) for _ in range(7)]
    assert order == [
        (OpenTicket.kind, "opened"),
        (TellChannel.kind, "a"),
        (CommentTicket.kind, "a"),
        (CommentTicket.kind, "b"),
        (ResolveTicket.kind, "b"),
        (TellChannel.kind, "b"),
        None,
    ]


def test_a_message_does_not_wait_for_a_ticket_that_is_put_off(database):
    owe(database, open_ticket(), tell("a"))
    owed = claim(database)
    with database.begin() as tx:
        claims.mark_retry(tx, owed, A, NOON + MINUTE, "the tracker is down", doubtful=False)
    assert deliver(database) == (TellChannel.kind, "a")


def test_a_comment_waits_while_the_one_before_it_is_put_off(database):
    owe(database, comment("a"), comment("b"))
    owed = claim(database)
    with database.begin() as tx:
        claims.mark_retry(tx, owed, A, NOON + MINUTE, "the tracker is down", doubtful=False)
    assert claim(database) is None
    assert deliver(database, now=NOON + MINUTE) == (CommentTicket.kind, "a")
    assert deliver(database, now=NOON + MINUTE) == (CommentTicket.kind, "b")


def test_a_comment_does_not_wait_for_a_link(database):
    owe(database, link(), comment("a"))
    assert claim(database).effect.kind == LinkTicket.kind
    assert deliver(database) == (CommentTicket.kind, "a")


def test_nothing_is_said_on_a_ticket_whose_opening_is_parked(database):
    owe(database, open_ticket(), comment("a"), tell("a"))
    park(database)
    assert deliver(database) == (TellChannel.kind, "a")
    assert claim(database) is None


def test_a_parked_comment_does_not_hold_up_the_next(database):
    owe(database, comment("a"), comment("b"))
    park(database)
    assert deliver(database) == (CommentTicket.kind, "b")


def test_what_a_person_cancels_no_longer_holds_anything_up(database):
    owe(database, open_ticket(), comment("a"))
    parked = park(database)
    with database.begin() as tx:
        assert outbox.set_state(tx, parked.seq, EffectState.CANCELLED, NOON)
    assert owed_kinds(database) == ["comment_ticket"]
    assert claim(database).effect.kind == CommentTicket.kind


def test_what_a_person_retries_is_due_at_once(database):
    owe(database, open_ticket())
    parked = park(database)
    assert claim(database) is None
    with database.begin() as tx:
        assert outbox.set_state(tx, parked.seq, EffectState.PENDING, NOON)
    assert claim(database).seq == parked.seq


def test_what_was_delivered_can_neither_be_retried_nor_cancelled(database):
    owe(database, open_ticket())
    owed = claim(database)
    with database.begin() as tx:
        claims.mark_delivered(tx, owed, NOON)
        assert not outbox.set_state(tx, owed.seq, EffectState.PENDING, NOON)
        assert not outbox.set_state(tx, 99, EffectState.CANCELLED, NOON)


def test_an_effect_that_was_cancelled_is_not_sent_by_who_had_claimed_it(database):
    owe(database, open_ticket())
    owed = claim(database)
    with database.begin() as tx:
        outbox.set_state(tx, owed.seq, EffectState.CANCELLED, NOON)
    assert not send(database, owed)


# ---- leases of effects


def test_an_effect_is_not_handed_out_before_it_is_due(database):
    owe(database, open_ticket(), now=NOON + MINUTE)
    assert claim(database) is None
    with database.begin() as tx:
        assert claims.next_due(tx) == NOON + MINUTE
    assert claim(database, now=NOON + MINUTE) is not None


def test_an_effect_whose_lease_ran_out_is_handed_to_another(database):
    owe(database, open_ticket())
    first = claim(database, A, until=NOON + MINUTE)
    assert claim(database, B, now=NOON + 59 * SECOND) is None
    second = claim(database, B, now=NOON + 61 * SECOND)
    assert second.seq == first.seq
    assert not send(database, first, A)
    assert send(database, second, B)


def test_what_was_sent_under_a_lost_lease_is_doubtful_for_the_next(database):
    owe(database, open_ticket())
    first = claim(database, A, until=NOON + MINUTE)
    send(database, first, A)
    assert claim(database, B, now=NOON + 2 * MINUTE).is_doubtful


def test_a_request_that_surely_changed_nothing_leaves_no_doubt(database):
    owe(database, open_ticket())
    owed = claim(database)
    send(database, owed)
    with database.begin() as tx:
        claims.mark_retry(tx, owed, A, NOON, "503", doubtful=False)
    again = claim(database)
    assert not again.is_doubtful
    assert (again.attempts, again.error) == (1, "503")


def test_a_request_whose_end_is_unknown_leaves_a_doubt(database):
    owe(database, open_ticket())
    owed = claim(database)
    send(database, owed)
    with database.begin() as tx:
        claims.mark_retry(tx, owed, A, NOON, "dropped", doubtful=True)
    assert claim(database).is_doubtful


def test_of_many_that_claim_at_once_each_effect_goes_to_one(database):
    for number in range(6):
        key = replace(TICKET, name=f"ticket{number}")
        effect, view = open_ticket()
        owe(database, (replace(effect, target=key), view))
    together = threading.Barrier(6)

    def work(number: int) -> list[int]:
        together.wait()
        owner, claimed = f"host/{number}/1/x", []
        for _ in range(12):  # PostgreSQL lets a claimer miss what another has locked at that moment
            owed = claim(database, owner)
            claimed += [] if owed is None else [owed.seq]
        return claimed

    with ThreadPoolExecutor(6) as pool:
        handed_out = sorted(seq for seqs in pool.map(work, range(6)) for seq in seqs)
    assert handed_out == [1, 2, 3, 4, 5, 6]


# ---- objects


def test_an_object_that_was_made_is_known_and_made_anew_it_is_known_anew(database):
    with database.begin() as tx:
        objects.know(tx, known(TICKET, "SR-1"))
        objects.know(tx, known(MESSAGE, "17.5", "C1"))
        objects.know(tx, known(TICKET, "SR-2"))
        found = objects.known_objects(tx, [TICKET, MESSAGE, PAGE])
        everything = objects.all_objects(tx)
    assert found == {TICKET: known(TICKET, "SR-2"), MESSAGE: known(MESSAGE, "17.5", "C1")}
    assert {each.key.kind for each in everything} == {ObjectKind.TICKET, ObjectKind.MESSAGE}


def told(database, *unbound, cause="a"):
    owe(database, tell(cause, ticket=TICKET))
    owed = claim(database)
    with database.begin() as tx:
        claims.mark_delivered(tx, owed, NOON, unbound)


def test_messages_that_could_not_show_an_object_are_found_when_it_is_made(database):
    told(database, TICKET, PAGE)
    with database.begin() as tx:
        (missing,) = stale_texts.messages_missing(tx, TICKET, INCIDENT)
        assert missing.effect.cause == "a"
        assert stale_texts.messages_missing(tx, TICKET, "other") == []
        assert stale_texts.messages_missing(tx, MESSAGE, INCIDENT) == []


def test_a_message_that_was_edited_since_is_judged_by_its_latest_edit(database):
    told(database, TICKET)
    told(database, cause="b")
    with database.begin() as tx:
        assert stale_texts.messages_missing(tx, TICKET, INCIDENT) == []
