"""What has happened before: opened again soon after Herald resolved it, later a new ticket that names the old."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.conclusion import Facts, conclude
from bot.domain.effects import AttachToTicket, CommentTicket, LinkTicket, OpenTicket, ReopenTicket, ResolveTicket
from bot.domain.incidents import Incident, IncidentState, Kind, Turn, Watch
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.notifications import Places
from bot.domain.policy import IncidentPolicy
from bot.domain.runs import RunResult
from tests.unit.state_samples import NOON, SERIES, run_at

DAY = timedelta(days=1)
OVER = Incident(
    "earlier00001", Kind.REGRESSED, SERIES, IncidentState.RESOLVED, "run1", NOON - 9 * DAY, ("ndcg",), ("run1", "run2"),
    good_runs=2, told_at=NOON - 9 * DAY, closed_at=NOON - 3 * DAY, closed_by_herald=True,
)  # fmt: skip
CANDIDATE = Incident(
    "candidate001", Kind.REGRESSED, SERIES, IncidentState.CANDIDATE, "run8", NOON, ("ndcg",), ("run8",)
)
PLACES = Places("test", "Search", "Search 2026", "jira")


def told(over=OVER, standing=(CANDIDATE,), outcome=Outcome.REGRESSED, places=PLACES, metric="ndcg"):
    finding = Finding(metric, outcome, Reason.CONFIRMED, value=0.4, baseline=0.8, change=-0.4, spread=0.01)
    said, policy = Assessment("run9", (finding,), SeriesState()), IncidentPolicy(recovery_runs=1)
    result = RunResult(run_at("run9", ndcg=0.4))
    facts = Facts(SERIES, result, said, (), standing, policy, (metric,), places, "Search: run9", NOON, over=(over,))
    return conclude(facts)


def kinds(conclusion):
    return [type(effect) for effect in conclusion.effects]


def test_what_is_back_soon_after_herald_resolved_it_is_the_same_incident_and_its_ticket_is_opened_again():
    conclusion = told()
    (step,) = conclusion.steps
    assert (step.turn, step.incident.incident_id) == (Turn.RETURNED, OVER.incident_id)
    assert step.incident.bad_runs == ("run1", "run2", "run8", "run9")
    assert (step.incident.state, step.incident.closed_at) == (IncidentState.OPEN, None)
    assert conclusion.superseded == (CANDIDATE.incident_id,)
    assert kinds(conclusion) == [ReopenTicket, CommentTicket]


@pytest.mark.parametrize(
    "over",
    [
        replace(OVER, closed_by_herald=False),
        replace(OVER, closed_at=NOON - 15 * DAY),
        replace(OVER, closed_at=NOON + DAY),
    ],
    ids=["people closed it", "long ago", "a clock went back"],
)
def test_else_it_is_a_new_ticket_that_is_linked_to_the_old(over):
    conclusion = told(over)
    (step,) = conclusion.steps
    assert (step.turn, step.incident.incident_id) == (Turn.FILED, CANDIDATE.incident_id)
    assert (step.incident.follows, conclusion.superseded) == (OVER.incident_id, ())
    assert [kind for kind in kinds(conclusion) if kind is not AttachToTicket] == [OpenTicket, LinkTicket]


def test_what_was_never_bad_before_follows_nothing():
    for other in (
        replace(OVER, metrics=("mrr",)),
        replace(OVER, kind=Kind.FAILED),
        replace(OVER, state=IncidentState.DISMISSED),
    ):
        (step,) = told(other).steps
        assert (step.turn, step.incident.follows) == (Turn.FILED, "")


def test_one_suspicious_run_opens_no_ticket_again():
    conclusion = told(standing=(), outcome=Outcome.SUSPICIOUS)
    assert [step.turn for step in conclusion.steps] == [Turn.SUSPECTED]
    assert conclusion.effects == ()


def test_where_config_leaves_closing_to_people_the_end_is_said_and_nothing_closed():
    standing = replace(OVER, state=IncidentState.OPEN, closed_at=None, closed_by_herald=False, good_runs=0)
    for resolves, wanted in ((True, [CommentTicket, ResolveTicket]), (False, [CommentTicket])):
        assert (
            kinds(told(standing=(standing,), outcome=Outcome.OK, places=replace(PLACES, resolves=resolves))) == wanted
        )


LEFT = replace(
    OVER,
    state=IncidentState.OPEN,
    closed_at=None,
    closed_by_herald=False,
    closed_by_people=True,
    watch=Watch(NOON - 15 * DAY, runs=3),
)


def test_what_a_person_closed_as_fixed_is_opened_again_only_so_long():
    (step,) = told(standing=(replace(LEFT, watch=Watch(NOON - 13 * DAY, runs=3)),)).steps
    assert (step.turn, step.incident.incident_id) == (Turn.REOPENED, OVER.incident_id)


def test_long_after_a_person_closed_it_as_fixed_it_is_a_new_ticket_that_is_linked_to_the_old():
    conclusion = told(standing=(LEFT,))
    left, new = conclusion.steps
    assert (left.turn, left.incident.state, left.incident.watch) == (Turn.LEFT, IncidentState.RESOLVED, None)
    assert (new.turn, new.incident.follows, new.incident.bad_runs) == (Turn.FILED, OVER.incident_id, ("run9",))
    assert new.incident.incident_id != OVER.incident_id
    assert [kind for kind in kinds(conclusion) if kind is not AttachToTicket] == [OpenTicket, LinkTicket]
    assert conclusion.standing == (new.incident,)


def test_a_ticket_that_stayed_open_under_a_command_is_told_on_however_late():
    (step,) = told(standing=(replace(LEFT, closed_by_people=False),)).steps
    assert (step.turn, step.incident.incident_id) == (Turn.REOPENED, OVER.incident_id)
