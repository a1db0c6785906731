"""What every reading of people's answers in tickets promises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.capabilities import TicketState
from bot.ports import Speakers, TicketDraft
from tests.contract.answer_benches import AnswersBench, now

FAMILY = "herald-team"
MARKER = "herald-team-4f1a-0-1"
DRAFT = TicketDraft("Ranking quality fell", "It fell.", labels=(FAMILY,))
LONG_AGO = timedelta(days=300)


def opened(bench: AnswersBench, marker: str = MARKER, *labels: str) -> str:
    return bench.tracker.create(marker, TicketDraft(DRAFT.title, DRAFT.body, labels or DRAFT.labels)).key


def test_what_people_said_is_read_with_who_said_it(answers_bench: AnswersBench):
    key = opened(answers_bench)
    before = now()
    said = answers_bench.people.say(key, "ada", "/herald why\nplease")
    reading = answers_bench.answers.read(key, before)
    assert reading is not None
    [comment] = reading.comments
    assert (comment.comment_id, comment.author) == (said, answers_bench.people.person("ada"))
    assert (comment.body, comment.mark, comment.is_edited) == ("/herald why\nplease", None, False)
    assert abs(comment.created - before) < timedelta(minutes=1)
    assert reading.ticket.key == key
    assert not reading.is_full


def test_an_edited_comment_says_so(answers_bench: AnswersBench):
    key = opened(answers_bench)
    said = answers_bench.people.say(key, "ada", "Looks bad")
    answers_bench.people.edit(key, "ada", said, "/herald mute 99d")
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    [comment] = reading.comments
    assert (comment.comment_id, comment.body, comment.is_edited) == (said, "/herald mute 99d", True)


def test_our_own_comments_carry_their_mark_and_are_ours(answers_bench: AnswersBench):
    key = opened(answers_bench)
    answers_bench.tracker.comment(key, "run-2", "Still so.")
    answers_bench.people.say(key, "ada", "I know")
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    ours, theirs = reading.comments
    assert (ours.mark, ours.author) == ("run-2", answers_bench.answers.me())
    assert (theirs.mark, theirs.body) == (None, "I know")


def test_comments_come_oldest_first_over_several_pages(answers_bench: AnswersBench):
    key = opened(answers_bench)
    said = [answers_bench.people.say(key, "wei", f"number {number}") for number in range(53)]
    for since in (None, now() - timedelta(hours=1)):
        reading = answers_bench.answers.read(key, since)
        assert reading is not None
        assert [each.comment_id for each in reading.comments] == said


def test_a_ticket_that_changed_is_listed_and_a_strangers_is_not(answers_bench: AnswersBench):
    key, stranger = opened(answers_bench), opened(answers_bench, "herald-other-1-0-1", "herald-other")
    for each in (key, stranger):
        answers_bench.people.say(each, "ada", "/herald why")
    assert answers_bench.answers.changed(FAMILY, now() - timedelta(minutes=1)) == [key]
    assert answers_bench.answers.changed(FAMILY, now() - LONG_AGO) == [key]
    assert answers_bench.answers.changed(FAMILY, now() + LONG_AGO) in ([], [key])


def test_a_resolution_tells_who_set_it(answers_bench: AnswersBench):
    key = opened(answers_bench)
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.resolution is None
    answers_bench.people.close(key, "wei", "Duplicate")
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.ticket.state is TicketState.DONE
    assert reading.resolution is not None
    assert (reading.resolution.name, reading.resolution.by) == ("Duplicate", answers_bench.people.person("wei"))
    assert reading.resolution.at is not None


def test_what_we_closed_ourselves_was_set_by_us(answers_bench: AnswersBench):
    key = opened(answers_bench)
    answers_bench.tracker.move(key, TicketState.DONE)
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.resolution is not None
    assert reading.resolution.by == answers_bench.answers.me()


def test_a_ticket_that_is_open_again_has_no_resolution(answers_bench: AnswersBench):
    key = opened(answers_bench)
    answers_bench.people.close(key, "wei", "Done")
    answers_bench.tracker.move(key, TicketState.TODO)
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert (reading.ticket.state, reading.resolution) == (TicketState.TODO, None)


def test_a_duplicate_names_what_it_repeats(answers_bench: AnswersBench):
    original, key = opened(answers_bench, "herald-team-4f1a-0-9"), opened(answers_bench)
    answers_bench.tracker.close_duplicate(key, answers_bench.tracker.create("herald-team-4f1a-0-8", DRAFT))
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.duplicate_of not in ("", key, original)
    other = answers_bench.answers.read(original, None)
    assert other is not None
    assert other.duplicate_of == ""


def test_labels_and_who_it_is_given_to_are_read(answers_bench: AnswersBench):
    key = opened(answers_bench)
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.assignee is None
    ada = answers_bench.people.person("ada")
    answers_bench.tracker.assign(key, ada.account)
    answers_bench.tracker.assign(key, ada.account)
    reading = answers_bench.answers.read(key, None)
    assert reading is not None
    assert reading.assignee is not None
    assert reading.assignee.account == ada.account
    assert FAMILY in reading.labels


def test_a_ticket_that_is_gone_is_none(answers_bench: AnswersBench):
    assert answers_bench.answers.read(answers_bench.missing, None) is None


def test_those_may_speak_who_can_be_assigned_tickets(answers_bench: AnswersBench):
    ada, wei = answers_bench.people.person("ada"), answers_bench.people.person("wei")
    answers_bench.expel("wei")
    assert answers_bench.answers.may_speak(ada, Speakers())
    assert not answers_bench.answers.may_speak(wei, Speakers())
    assert not answers_bench.answers.may_speak(type(ada)("nobody", "Ada Okafor"), Speakers())
    assert not answers_bench.answers.may_speak(type(ada)("", "Ada Okafor"), Speakers())
    assert not answers_bench.answers.may_speak(type(ada)(ada.account, ada.name, is_app=True), Speakers())


@pytest.mark.parametrize("who", ["ada", "wei"])
def test_accounts_that_config_lists_may_speak_and_no_others(answers_bench: AnswersBench, who: str):
    speakers = Speakers(accounts=frozenset({answers_bench.people.person(who).account}))
    allowed = {
        name: answers_bench.answers.may_speak(answers_bench.people.person(name), speakers) for name in ("ada", "wei")
    }
    assert allowed == {"ada": who == "ada", "wei": who == "wei"}
