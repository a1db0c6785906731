"""Experiments as tasks: a run tells its result on the ticket that it is for."""

import pytest
from pydantic import ValidationError

from bot.domain.tasks import TASK_TAG
from bot.ports import TicketDraft
from bot.services.memory.tracker import MemoryTicket
from bot.services.trello.config import TrelloSection
from tests.unit.cycle_bench import EAGER, GOOD, Bench
from tests.unit.state_samples import SECOND


@pytest.fixture
def bench(sqlite_url, tmp_path):
    made = Bench(tmp_path, sqlite_url, dict(EAGER))
    made.run()
    for value in GOOD:
        made.log(value)
    made.run()
    yield made
    made.database.close()


def comments(bench, key="SR-12"):
    return [body for _, body in bench.tracker.tickets[key].comments]


def tagged(bench, value, ticket, **changes):
    return bench.log(value, tags={TASK_TAG: ticket}, **changes)


def test_a_run_that_names_a_ticket_tells_its_result_there_once(bench):
    bench.tracker.tickets["SR-12"] = MemoryTicket("SR-12", "", TicketDraft("Try a larger batch", ""))
    tagged(bench, 0.81, " SR-12 ", params={"batch": "256", "lr": "3e-4"})
    bench.run()
    bench.run()
    (comment,) = comments(bench)
    assert comment.startswith("*Result.* search: ")
    assert "0.81" in comment
    assert "| batch | 256 |" in comment
    assert list(bench.tracker.tickets) == ["SR-12"]


def test_a_pipelines_runs_are_experiments_for_its_ticket_and_a_runs_own_tag_comes_first(bench):
    for key in ("SR-12", "SR-13"):
        bench.tracker.tickets[key] = MemoryTicket(key, "", TicketDraft(key, ""))
    bench.herald = bench.make(ticket="SR-12")
    bench.log(0.80)
    tagged(bench, 0.80, "SR-13")
    bench.run()
    assert (len(comments(bench)), len(comments(bench, "SR-13"))) == (1, 1)


@pytest.mark.parametrize(
    "ticket",
    ["XY-1", "SR-0", "SR-12 ", "sr-1", "SR-12\nSR-13", "SR-1/../../x", "herald-test-1-0-1", "[~all]", "SR-" + "9" * 40],
)
def test_what_can_be_no_ticket_of_the_project_is_told_in_the_log_and_commented_on_nowhere(bench, ticket, capsys):
    tagged(bench, 0.80, ticket if ticket != "SR-12 " else "SR-12\u200b")
    bench.run()
    assert bench.owed() == []
    assert "names no ticket" in capsys.readouterr().out
    bench.run()
    assert "names no ticket" not in capsys.readouterr().out


def test_a_ticket_that_is_not_there_is_left_to_a_person_and_not_tried_again(bench):
    tagged(bench, 0.80, "SR-99")
    bench.now += SECOND
    bench.herald.cycle("search").run(bench.now)
    assert len(bench.herald.dispatcher.drain().failures) == 1
    assert bench.herald.dispatcher.drain().failures == []
    assert bench.owed() == ["comment_ticket"]


def test_the_ticket_that_config_names_for_a_pipeline_has_to_be_one_of_its_tracker(bench):
    with pytest.raises(ValidationError, match=r"'XY-1' cannot be commented on: \[tracker.jira\] has no such ticket"):
        bench.make(ticket="XY-1")
    with pytest.raises(ValidationError, match=r"'SR-1' cannot be commented on: it has no tracker"):
        bench.make(ticket="SR-1", tracker=None)


@pytest.mark.parametrize(
    ("key", "is_one"), [("nC8QJoZi", True), ("5" * 24, True), ("SR-12", False), ("nC8QJoZ/", False)]
)
def test_a_card_is_named_by_the_letters_of_its_address_or_its_id(key, is_one):
    assert TrelloSection(key="k", token="t", board="b").has_ticket(key) is is_one
