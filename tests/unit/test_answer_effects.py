"""What Herald says and does in answer to people, carried out on a ticket and in a thread."""

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.effects import AnswerComment, AnswerInThread, ReopenTicket
from bot.domain.views import AnswerKind, AnswerPart, AnswerView
from tests.unit.delivery_bench import Bench
from tests.unit.state_samples import INCIDENT, MESSAGE, TICKET, open_ticket, resolve, tell


@pytest.fixture
def bench(database) -> Bench:
    made = Bench(database)
    made.owe(open_ticket(), tell("filed"))
    made.drain()
    return made


def answered(mark: str) -> AnswerView:
    return AnswerView(
        (AnswerPart(AnswerKind.UNREADABLE, said="/herald snooze", nearest="mute 14d REASON"),), "Wei", mark
    )


def test_an_answer_is_a_comment_that_is_found_again(bench):
    bench.owe((AnswerComment(TICKET, "said/7", INCIDENT), answered("m7")))
    bench.drain()
    ((mark, body),) = bench.ticket.comments
    assert mark == "m7"
    assert "snooze" in body
    assert "mute 14d REASON" in body


def test_what_was_said_in_a_thread_is_answered_there(bench):
    bench.owe((AnswerInThread(MESSAGE, "said/7", INCIDENT, needs=(MESSAGE,)), answered("m7")))
    bench.drain()
    ((mark, text),) = bench.message.replies
    assert mark == "m7"
    assert "snooze" in text


@pytest.mark.parametrize(
    ("left_by_people", "stands"),
    [
        (TicketState.DONE, TicketState.TODO),
        (TicketState.DOING, TicketState.DOING),
        (TicketState.TODO, TicketState.TODO),
    ],
)
def test_a_ticket_is_reopened_only_where_it_is_done(bench, left_by_people, stands):
    bench.owe(resolve("good"))
    bench.drain()
    bench.tracker.move(bench.ticket.key, left_by_people)
    bench.owe((ReopenTicket(TICKET, "run9/reopened", INCIDENT), None))
    bench.drain()
    assert bench.ticket.state is stands
