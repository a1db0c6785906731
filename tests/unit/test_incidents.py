"""The life of an incident."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Turn, advance, mint_id
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.last_words import News, Worst, worsened
from bot.domain.policy import IncidentPolicy
from bot.domain.runs import Slice

SERIES = SeriesKey("next-purchase")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EAGER = IncidentPolicy(recovery_runs=1, comment_every=timedelta(0))


def assessed(run_id, outcome, metric="ndcg", *more):
    findings = (Finding(metric, outcome, Reason.BEYOND_SPREAD), *more)
    return Assessment(run_id, findings, SeriesState())


def live(outcomes, policy=EAGER, gap=timedelta(hours=1)):
    """Send runs of these outcomes through the life of incidents; return all incidents and the turns of each run."""
    known: dict[str, Incident] = {}
    turns = []
    for number, outcome in enumerate(outcomes, 1):
        steps = advance(tuple(known.values()), assessed(f"run{number}", outcome), SERIES, policy, NOON + number * gap)
        known |= {step.incident.incident_id: step.incident for step in steps}
        turns.append([step.turn for step in steps])
    return list(known.values()), turns


def test_a_suspicious_run_opens_a_candidate_that_nobody_is_told_of():
    (incident,), turns = live([Outcome.SUSPICIOUS])
    assert incident.state is IncidentState.CANDIDATE
    assert turns == [[Turn.SUSPECTED]]


def test_a_confirmed_drop_is_filed_once_and_then_repeated():
    (incident,), turns = live([Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.REGRESSED])
    assert incident.state is IncidentState.OPEN
    assert incident.bad_runs == ("run1", "run2", "run3")
    assert turns == [[Turn.SUSPECTED], [Turn.FILED], [Turn.REPEATED]]


def test_the_id_is_of_the_first_bad_run_and_does_not_change_with_the_onset():
    (incident,), _ = live([Outcome.SUSPICIOUS, Outcome.REGRESSED])
    assert incident.incident_id == mint_id(SERIES, Kind.REGRESSED, "run1")
    assert replace(incident, bad_runs=("run0", *incident.bad_runs)).onset == "run0"


def test_a_candidate_that_does_not_reproduce_is_dismissed():
    (incident,), turns = live([Outcome.SUSPICIOUS, Outcome.OK])
    assert incident.state is IncidentState.DISMISSED
    assert turns[-1] == [Turn.DISMISSED]


def test_a_broken_limit_is_an_incident_of_its_own_beside_what_fell():
    broken = Finding("latency", Outcome.BREACHED, Reason.ABOVE_LIMIT, value=143.0, limit=120.0)
    steps = advance((), assessed("run1", Outcome.REGRESSED, "ndcg", broken), SERIES, EAGER, NOON)
    assert [(step.incident.kind, step.incident.metrics, step.turn) for step in steps] == [
        (Kind.REGRESSED, ("ndcg",), Turn.FILED),
        (Kind.BREACHED, ("latency",), Turn.FILED),
    ]


def test_a_limit_broken_once_is_a_candidate_and_kept_to_again_is_dismissed():
    _, turns = live([Outcome.OUTSIDE, Outcome.BREACHED], EAGER)
    assert turns == [[Turn.SUSPECTED], [Turn.FILED]]
    kept = Finding("ndcg", Outcome.OK, Reason.WITHIN_LIMITS, value=110.0, limit=120.0)
    (step,) = advance((), assessed("run1", Outcome.OUTSIDE), SERIES, EAGER, NOON)
    (step,) = advance((step.incident,), Assessment("run2", (kept,), SeriesState()), SERIES, EAGER, NOON)
    assert step.turn is Turn.DISMISSED


@pytest.mark.parametrize(
    "finding",
    [
        Finding("latency", Outcome.INVALID, Reason.MISSING),
        Finding("latency", Outcome.INVALID, Reason.NOT_A_NUMBER, value=float("nan")),
        Finding("job", Outcome.FAILED, Reason.RUN_FAILED),
    ],
)
def test_a_run_that_says_nothing_of_the_metric_does_not_end_a_broken_limit(finding):
    broken = Finding("latency", Outcome.BREACHED, Reason.ABOVE_LIMIT, value=143.0, limit=120.0)
    (step,) = advance((), Assessment("run1", (broken,), SeriesState()), SERIES, EAGER, NOON)
    steps = advance((step.incident,), Assessment("run2", (finding,), SeriesState()), SERIES, EAGER, NOON)
    assert [each.turn for each in steps if each.incident.kind is Kind.BREACHED] == []


def test_recovery_takes_as_many_good_runs_in_a_row_as_config_says():
    two = replace(EAGER, recovery_runs=2)
    outcomes = [Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.OK, Outcome.REGRESSED, Outcome.OK, Outcome.IMPROVED]
    (incident,), turns = live(outcomes, two)
    assert incident.state is IncidentState.RESOLVED
    assert turns[2:] == [[Turn.RECOVERING], [Turn.REPEATED], [Turn.RECOVERING], [Turn.RESOLVED]]


def test_a_drop_that_returns_later_is_another_incident():
    incidents, _ = live(2 * [Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.OK])
    assert [i.state for i in incidents] == [IncidentState.RESOLVED, IncidentState.RESOLVED]
    assert len({i.incident_id for i in incidents}) == 2


def test_repeats_within_the_quiet_time_are_counted_and_not_told():
    calm = replace(EAGER, comment_every=timedelta(hours=3))
    _, turns = live([Outcome.SUSPICIOUS] + 5 * [Outcome.REGRESSED], calm)
    assert turns[1:] == [[Turn.FILED], [Turn.COUNTED], [Turn.COUNTED], [Turn.REPEATED], [Turn.COUNTED]]


def fell(run_id, value, *others, metric="ndcg"):
    finding = Finding(metric, Outcome.REGRESSED, Reason.CONFIRMED, value=value, baseline=0.8, change=value - 0.8)
    return Assessment(run_id, (finding, *others), SeriesState())


def test_a_repeat_knows_what_has_come_since_the_last_word():
    calm, known, told = replace(EAGER, comment_every=timedelta(hours=3)), (), []
    also = Finding("hr", Outcome.REGRESSED, Reason.CONFIRMED, value=0.2, baseline=0.3, change=-0.1)
    for hour, said in enumerate([fell("a", 0.7), fell("b", 0.6), fell("c", 0.65, also), fell("d", 0.66, also)]):
        (step,) = advance(known, said, SERIES, calm, NOON + hour * timedelta(hours=1))
        known = (step.incident,)
        told.append((step.turn, step.news))
    assert [turn for turn, _ in told] == [Turn.FILED, Turn.COUNTED, Turn.COUNTED, Turn.REPEATED]
    assert told[-1][1] == News(3, frozenset({"hr"}), {"ndcg": 0.7}, frozenset({"ndcg", "hr"}))
    (step,) = advance(known, fell("e", 0.64, also), SERIES, calm, NOON + timedelta(hours=9))
    assert step.news == News(1, frozenset(), shown=frozenset({"ndcg", "hr"}))


@given(st.lists(st.floats(0, 0.79), min_size=1, max_size=8))
def test_the_worst_is_the_lowest_where_falling_is_worse_and_the_highest_where_rising_is(values):
    for sign, worst in ((1, min), (-1, max)):
        kept: tuple[Worst, ...] = ()
        for value in values:
            finding = replace(fell("a", value).findings[0], value=sign * value, change=sign * (value - 0.8))
            kept = worsened(kept, [finding], {"ndcg"})
        assert kept == (Worst("ndcg", worst(sign * value for value in values)),)


def test_a_clock_that_was_set_back_silences_nobody():
    _, turns = live([Outcome.SUSPICIOUS] + 3 * [Outcome.REGRESSED], EAGER, gap=timedelta(seconds=-1))
    assert turns[1:] == [[Turn.FILED], [Turn.REPEATED], [Turn.REPEATED]]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STALE, Outcome.INVALID])
def test_what_is_certain_at_once_is_filed_at_once(outcome):
    (incident,), turns = live([outcome])
    assert (incident.kind, incident.state) == (Kind(outcome.value), IncidentState.OPEN)
    assert turns == [[Turn.FILED]]


def test_a_failed_run_neither_ends_nor_joins_a_regression():
    incidents, turns = live([Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.FAILED])
    regressed = next(i for i in incidents if i.kind is Kind.REGRESSED)
    assert regressed.state is IncidentState.OPEN
    assert regressed.bad_runs == ("run1", "run2")
    assert turns[-1] == [Turn.FILED]


def test_any_run_that_does_not_fail_ends_a_failure_even_a_suspicious_one():
    incidents, _ = live([Outcome.FAILED, Outcome.SUSPICIOUS])
    assert {i.kind: i.state for i in incidents} == {
        Kind.FAILED: IncidentState.RESOLVED,
        Kind.REGRESSED: IncidentState.CANDIDATE,
    }


def test_any_run_ends_a_silence_and_only_a_comparable_one_ends_invalid():
    incidents, _ = live([Outcome.STALE, Outcome.FAILED])
    assert next(i for i in incidents if i.kind is Kind.STALE).state is IncidentState.RESOLVED
    incidents, _ = live([Outcome.INVALID, Outcome.FAILED])
    assert next(i for i in incidents if i.kind is Kind.INVALID).state is IncidentState.OPEN
    incidents, _ = live([Outcome.INVALID, Outcome.OK])
    assert next(i for i in incidents if i.kind is Kind.INVALID).state is IncidentState.RESOLVED
    incidents, _ = live([Outcome.FAILED, Outcome.STALE])
    assert next(i for i in incidents if i.kind is Kind.FAILED).state is IncidentState.OPEN


def test_metrics_and_slices_that_fall_together_are_one_incident():
    slice_finding = Finding("ndcg", Outcome.REGRESSED, Reason.CONFIRMED, Slice("department", "GROCERY"))
    other = Finding("mrr", Outcome.REGRESSED, Reason.CONFIRMED)
    (step,) = advance((), assessed("run1", Outcome.REGRESSED, "ndcg", slice_finding, other), SERIES, EAGER, NOON)
    assert step.incident.metrics == ("mrr", "ndcg", "ndcg [department=GROCERY]")


def test_a_metric_that_is_only_suspicious_does_not_join_an_open_incident():
    (filed,) = advance((), assessed("run1", Outcome.REGRESSED), SERIES, EAGER, NOON)
    steps = advance((filed.incident,), assessed("run2", Outcome.SUSPICIOUS, "mrr"), SERIES, EAGER, NOON)
    assert steps == ()
    both = assessed("run2", Outcome.REGRESSED, "ndcg", Finding("mrr", Outcome.SUSPICIOUS, Reason.BEYOND_SPREAD))
    (step,) = advance((filed.incident,), both, SERIES, EAGER, NOON)
    assert step.incident.metrics == ("ndcg",)


DELI = Slice("department", "DELI")


def sliced(run_id: str, whole: Outcome, **slices: Outcome) -> Assessment:
    """Return what is said of a run's metric and of departments of it."""
    parts = (Finding("ndcg", outcome, Reason.CONFIRMED, Slice("department", name)) for name, outcome in slices.items())
    return assessed(run_id, whole, "ndcg", *parts)


def follow(*runs: Assessment, policy: IncidentPolicy = EAGER) -> tuple[list[Incident], list[list[Turn]]]:
    known: dict[str, Incident] = {}
    turns = []
    for number, run in enumerate(runs):
        standing = [incident for incident in known.values() if not incident.state.is_over]
        steps = advance(standing, run, SERIES, policy, NOON + timedelta(minutes=number))
        known |= {step.incident.incident_id: step.incident for step in steps}
        turns.append([step.turn for step in steps])
    return list(known.values()), turns


def test_a_slice_that_has_fallen_for_certain_is_an_incident_though_the_whole_metric_stands():
    (incident,), turns = follow(sliced("run1", Outcome.OK, DELI=Outcome.REGRESSED))
    assert turns == [[Turn.FILED]]
    assert incident.metrics == ("ndcg [department=DELI]",)
    assert incident.slices == {"ndcg [department=DELI]"}


def test_a_slice_that_is_only_suspicious_opens_nothing():
    assert follow(sliced("run1", Outcome.OK, DELI=Outcome.SUSPICIOUS)) == ([], [[]])


def test_where_the_whole_metric_falls_too_its_slices_explain_and_are_no_incident_of_their_own():
    incidents, turns = follow(
        sliced("run1", Outcome.REGRESSED, DELI=Outcome.REGRESSED),
        sliced("run2", Outcome.REGRESSED, DELI=Outcome.REGRESSED, MEAT=Outcome.REGRESSED),
    )
    assert len(incidents) == 1
    assert incidents[0].slices == frozenset()
    assert turns == [[Turn.FILED], [Turn.REPEATED]]


def test_a_whole_metric_that_follows_its_slice_joins_the_incident_and_is_told_at_once():
    patient = IncidentPolicy(comment_every=timedelta(days=1))
    fell = sliced("run1", Outcome.OK, DELI=Outcome.REGRESSED)
    both = sliced("run3", Outcome.REGRESSED, DELI=Outcome.REGRESSED)
    (incident,), turns = follow(fell, replace(fell, run_id="run2"), both, replace(both, run_id="run4"), policy=patient)
    assert turns == [[Turn.FILED], [Turn.COUNTED], [Turn.REPEATED], [Turn.COUNTED]]
    assert incident.whole == {"ndcg"}


def test_another_slice_that_falls_later_is_told_at_once_in_the_same_incident():
    patient = IncidentPolicy(comment_every=timedelta(days=1))
    (incident,), turns = follow(
        sliced("run1", Outcome.OK, DELI=Outcome.REGRESSED),
        sliced("run2", Outcome.OK, DELI=Outcome.REGRESSED, MEAT=Outcome.REGRESSED),
        policy=patient,
    )
    assert turns == [[Turn.FILED], [Turn.REPEATED]]
    assert len(incident.slices) == 2


def test_a_slice_that_is_back_resolves_its_incident_and_one_that_is_not_measured_does_not():
    fell = sliced("run1", Outcome.OK, DELI=Outcome.REGRESSED)
    too_few = sliced("run2", Outcome.OK, DELI=Outcome.INSUFFICIENT_DATA)
    (incident,), turns = follow(fell, assessed("run2", Outcome.OK, "ndcg"), too_few)
    assert turns == [[Turn.FILED], [], []]
    (incident,), turns = follow(fell, sliced("run2", Outcome.OK, DELI=Outcome.OK))
    assert turns == [[Turn.FILED], [Turn.RESOLVED]]
    assert incident.state is IncidentState.RESOLVED


def test_a_combination_of_slices_is_over_though_later_good_runs_say_nothing_of_it():
    inner = Slice("category", "berries", Slice("department", "PRODUCE"))

    def run(run_id: str, *parts: tuple[Slice, Outcome]) -> Assessment:
        whole = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD)
        found = (Finding("ndcg", outcome, Reason.LEVEL_FELL, part=part) for part, outcome in parts)
        return Assessment(run_id, (whole, *found), SeriesState())

    other = Slice("department", "MEAT")
    policy = IncidentPolicy(recovery_runs=2)
    (incident,), turns = follow(
        run("1", (inner, Outcome.REGRESSED), (other, Outcome.OK)),
        run("2", (inner, Outcome.OK), (other, Outcome.OK)),
        run("3"),
        run("4", (other, Outcome.OK)),
        policy=policy,
    )
    assert turns == [[Turn.FILED], [Turn.RECOVERING], [], [Turn.RESOLVED]]
    assert incident.state is IncidentState.RESOLVED


def test_incidents_that_are_over_stay_as_they_are():
    (incident,), _ = live([Outcome.FAILED, Outcome.OK])
    assert advance((incident,), assessed("run9", Outcome.OK), SERIES, EAGER, NOON) == ()


@given(st.lists(st.sampled_from(list(Outcome)), max_size=25))
def test_at_most_one_incident_of_a_kind_stands_and_each_is_filed_once(outcomes):
    incidents, turns = live(outcomes)
    standing = [i.kind for i in incidents if not i.state.is_over]
    assert len(standing) == len(set(standing))
    filed = sum(turn is Turn.FILED for run in turns for turn in run)
    assert filed == sum(i.told_at is not None for i in incidents)
    for incident in incidents:
        assert incident.state.is_over == (incident.closed_at is not None)
        assert incident.onset == incident.bad_runs[0]


def test_the_onset_of_a_fire_without_a_run_is_the_fire():
    incident = Incident("x", Kind.FAILED, SERIES, IncidentState.OPEN, opened_by="fire1", opened_at=NOON)
    assert incident.onset == "fire1"
