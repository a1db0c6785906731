"""What people answer on Trello's cards, where Trello is unlike others."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.capabilities import TicketState
from bot.domain.rules import RuleKind
from bot.ports import Speakers, TicketDraft
from bot.sandbox import RunningSandbox, Service
from bot.services.answers_section import AnswersSection
from tests.contract.answer_benches import TrelloPerson, now, trello_answers

MARKER = "herald-team-4f1a-0-1"
MEANINGS = {"noise": ["False alarm"], "expected": ["As intended"], "fixed": ["Done"]}
SOON = timedelta(minutes=1)


def labelled(ada: TrelloPerson, key: str, board: str, name: str) -> None:
    made = ada.send("ada", "POST", "labels", name=name, color="red", idBoard=board)["id"]
    ada.send("ada", "POST", f"cards/{key}/idLabels", value=made)


def test_a_label_that_means_something_is_an_answer_on_an_open_card_too(sandbox: RunningSandbox):
    bench, ada = trello_answers(sandbox, answers=MEANINGS), TrelloPerson(sandbox)
    key = bench.tracker.create(MARKER, TicketDraft("Fell", "It fell.")).key
    labelled(ada, key, sandbox.board_id, "Q4")
    reading = bench.answers.read(key, None)
    assert reading is not None
    assert reading.resolution is None
    labelled(ada, key, sandbox.board_id, "False alarm")
    reading = bench.answers.read(key, None)
    assert reading is not None
    assert reading.resolution is not None
    assert AnswersSection(noise=("false ALARM",)).kind_of(reading.resolution) is RuleKind.NOISE
    assert (reading.resolution.by, reading.resolution.at) == (None, None)
    assert reading.labels == ("Q4", "False alarm")
    assert reading.ticket.state is TicketState.TODO


def test_a_label_is_noticed_though_trello_tells_of_no_such_change(sandbox: RunningSandbox):
    bench, ada = trello_answers(sandbox, answers=MEANINGS), TrelloPerson(sandbox)
    key = bench.tracker.create(MARKER, TicketDraft("Fell", "It fell.")).key
    later = now() + timedelta(hours=1)
    assert bench.answers.changed("herald-team", later) == []
    labelled(ada, key, sandbox.board_id, "Q4")
    assert bench.answers.changed("herald-team", later) == [key]
    assert bench.answers.changed("herald-team", later) == []
    labelled(ada, key, sandbox.board_id, "As intended")
    anew = trello_answers(sandbox, answers=MEANINGS)
    assert anew.answers.changed("herald-team", later) == [key], "what was answered while nobody listened"


def test_a_list_that_means_something_closes_its_cards(sandbox: RunningSandbox):
    bench, wei = trello_answers(sandbox, answers=MEANINGS), TrelloPerson(sandbox)
    key = bench.tracker.create(MARKER, TicketDraft("Fell", "It fell.")).key
    wei.close(key, "wei", "As intended")
    reading, read = bench.answers.read(key, None), bench.tracker.read(key)
    assert reading is not None
    assert read is not None
    assert reading.resolution is not None
    assert (reading.resolution.name, reading.resolution.by) == ("As intended", wei.person("wei"))
    assert reading.ticket.state is read.state is TicketState.DONE


def test_a_card_archived_before_it_was_done_says_so(sandbox: RunningSandbox):
    bench, wei = trello_answers(sandbox), TrelloPerson(sandbox)
    key = bench.tracker.create(MARKER, TicketDraft("Fell", "It fell.")).key
    wei.send("wei", "PUT", f"cards/{key}", closed="true")
    reading = bench.answers.read(key, None)
    assert reading is not None
    assert reading.resolution is not None
    assert (reading.resolution.name, reading.resolution.by) == ("Archived", wei.person("wei"))
    assert bench.answers.changed("herald-team", now() - SOON) == [key]


def test_a_mark_in_the_words_of_somebody_else_is_no_mark_of_ours(sandbox: RunningSandbox):
    bench, ada = trello_answers(sandbox), TrelloPerson(sandbox)
    key = bench.tracker.create(MARKER, TicketDraft("Fell", "It fell.")).key
    ada.say(key, "ada", "/herald why\n\n`run-2`")
    reading = bench.answers.read(key, None)
    assert reading is not None
    assert [each.mark for each in reading.comments] == [None]


def test_who_only_looks_on_may_not_speak_and_a_role_is_a_kind_of_member(sandbox: RunningSandbox):
    bench, people = trello_answers(sandbox), TrelloPerson(sandbox)
    sandbox.change(Service.TRELLO, observers=["wei"])
    ada, wei = people.person("ada"), people.person("wei")
    normal, admin = Speakers(roles=frozenset({"normal"})), Speakers(roles=frozenset({"admin"}))
    assert [bench.answers.may_speak(who, normal) for who in (ada, wei)] == [True, False]
    assert not bench.answers.may_speak(ada, admin)
    assert not bench.answers.may_speak(ada, Speakers(groups=frozenset({"normal"})))


def test_a_round_in_which_nothing_happened_costs_three_requests(sandbox: RunningSandbox):
    bench = trello_answers(sandbox)
    for number in range(20):
        bench.tracker.create(f"herald-team-{number}-0-1", TicketDraft("Fell", "It fell."))
    before = bench.count_requests() or 0
    assert bench.answers.changed("herald-team", now() + timedelta(hours=1)) == []
    assert (bench.count_requests() or 0) - before == 3
