"""What fell together is one ticket an owner."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.conclusion import Facts, conclude
from bot.domain.effects import CommentTicket, OpenTicket, ResolveTicket
from bot.domain.incidents import Incident
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.notifications import Places
from bot.domain.owners import owner_of, share_out
from bot.domain.policy import IncidentPolicy
from bot.domain.runs import RunResult, Slice
from tests.unit.state_samples import MINUTE, NOON, SERIES, run_at

OWNERS = {"mrr": "Ranking", "department=GROCERY": "Fresh food", "department=DELI": "Fresh food"}
POLICY = IncidentPolicy(recovery_runs=1, comment_every=timedelta(days=1), owners=OWNERS)
PLACES = Places("test", "Search", "Search 2026", "jira")


def finding(metric: str, outcome: Outcome) -> Finding:
    return Finding(metric, outcome, Reason.LEVEL_FELL, value=0.4, baseline=0.8, change=-0.4, spread=0.01)


FELL, MRR = finding("ndcg", Outcome.REGRESSED), finding("mrr", Outcome.REGRESSED)
GOOD = (finding("ndcg", Outcome.OK), finding("mrr", Outcome.OK))


def part_of(metric: str, value: str) -> Finding:
    return replace(finding(metric, Outcome.REGRESSED), part=Slice("department", value), reason=Reason.CONFIRMED)


def told(*findings: Finding, standing: tuple[Incident, ...] = (), run_id: str = "run", policy=POLICY):
    later = NOON + (1 + len(standing and standing[0].bad_runs)) * MINUTE
    said = Assessment(run_id, findings, SeriesState())
    result = RunResult(run_at(run_id, ndcg=0.4, mrr=0.5))
    return conclude(Facts(SERIES, result, said, (), standing, policy, ("ndcg", "mrr"), PLACES, "Search: run", later))


def tickets(conclusion, kind=OpenTicket):
    return [effect.target.name.split("-")[-2] for effect in conclusion.effects if isinstance(effect, kind)]


def test_what_fell_together_is_one_ticket_an_owner():
    conclusion = told(FELL, MRR)
    (incident,) = conclusion.incidents
    assert [(part.owner, part.keys) for part in incident.parts] == [("Ranking", ("mrr",)), ("", ("ndcg",))]
    assert [part.metrics for part in incident.split()] == [("mrr",), ("ndcg",)]
    assert tickets(conclusion) == ["0", "1"]


def test_without_owners_in_config_all_of_it_is_one_ticket():
    conclusion = told(FELL, MRR, policy=replace(POLICY, owners={}))
    assert [incident.parts for incident in conclusion.incidents] == [()]
    assert tickets(conclusion) == ["0"]


def test_two_slices_of_one_owner_are_one_ticket_and_their_metrics_owner_has_none():
    (incident,) = told(GOOD[0], part_of("ndcg", "GROCERY"), part_of("ndcg", "DELI")).incidents
    assert [part.owner for part in incident.parts] == ["Fresh food"]


def test_who_has_what_falls_later_gets_a_ticket_at_once_and_the_others_no_word_about_it():
    first = told(FELL, GOOD[1])
    later = told(GOOD[0], MRR, standing=first.standing, run_id="run2")
    assert (tickets(later), tickets(later, CommentTicket)) == (["1"], [])
    (incident,) = later.standing
    again = told(FELL, MRR, standing=(replace(incident, told_at=None),), run_id="run3")
    assert (tickets(again), tickets(again, CommentTicket)) == ([], ["0", "1"])


def test_all_tickets_of_an_incident_are_resolved_when_it_is_over():
    over = told(*GOOD, standing=told(FELL, MRR).standing, run_id="run2")
    assert tickets(over, ResolveTicket) == ["0", "1"]


def test_an_incident_that_people_heard_of_before_config_named_owners_keeps_its_ticket():
    before = told(FELL, MRR, policy=replace(POLICY, owners={}))
    later = told(FELL, MRR, part_of("ndcg", "GROCERY"), standing=before.standing, run_id="run2")
    (incident,) = later.incidents
    assert [(part.owner, part.keys) for part in incident.parts] == [("", ("mrr", "ndcg"))]
    assert tickets(later) == []


@pytest.mark.parametrize(
    ("key", "owner"),
    [("mrr", "Ranking"), ("mrr [department=GROCERY]", "Fresh food"), ("mrr [region=EU]", "Ranking"), ("ndcg", "")],
)
def test_a_slice_is_its_own_owners_before_its_metrics(key, owner):
    assert owner_of(key, OWNERS) == owner


KEYS = st.sampled_from(["ndcg", "mrr", "ndcg [department=GROCERY]", "mrr [department=DELI]", "mrr [region=EU]"])


@given(st.lists(st.sets(KEYS), max_size=5), st.lists(st.dictionaries(KEYS, st.sampled_from("abc")), max_size=5))
def test_everything_that_fell_has_one_owner_for_good_whatever_config_comes_to_say(falls, configs):
    parts, fallen = (), set()
    for fell, owners in zip(falls, configs, strict=False):
        before, fallen = parts, fallen | fell
        parts = share_out(parts, fallen, owners, told=fallen - fell)
        given_out = [key for part in parts for key in part.keys]
        assert len(given_out) == len(set(given_out))
        assert not parts or set(given_out) == fallen
        assert [part.place for part in parts] == list(range(len(parts)))
        assert [part.owner for part in parts[: len(before)]] == [part.owner for part in before]
        assert all(set(old.keys) <= set(new.keys) for old, new in zip(before, parts, strict=False))


def test_a_slice_within_an_owned_one_is_its_owners_unless_it_has_one_of_its_own():
    owners = {"department=PRODUCE": "Fresh food", "hr": "Search"}
    assert owner_of("hr [department=PRODUCE, category=berries]", owners) == "Fresh food"
    assert owner_of("hr [department=MEAT, category=beef]", owners) == "Search"
    owners["department=PRODUCE, category=berries"] = "Berries"
    assert owner_of("hr [department=PRODUCE, category=berries]", owners) == "Berries"
