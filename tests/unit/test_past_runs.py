"""What the past leaves behind: which bad runs become baseline, and what still stands."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.cli.output.cycle import print_cycle
from bot.delivery.drain_report import DrainReport
from bot.domain.first_contact import open_standing, settle_past
from bot.domain.incidents import IncidentState, Kind, SeriesKey, Turn
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, Streak
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Bound
from bot.domain.runs import DataCard, Run, RunStatus
from bot.pipeline.cycle_report import CycleReport
from bot.reports.overview import OpenIncident

SERIES = SeriesKey("quality")
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def bad_run(run_id: str, **onsets: tuple[str, int]) -> Assessment:
    """Return the assessment of a run whose metrics have been bad since a run, for so many runs."""
    findings = [
        Finding(m, Outcome.REGRESSED if n > 1 else Outcome.SUSPICIOUS, Reason.CONFIRMED, onset=onset)
        for m, (onset, n) in onsets.items()
    ]
    streaks = {metric: Streak(onset, length, confirmed=length > 1) for metric, (onset, length) in onsets.items()}
    return Assessment(run_id, tuple(findings), SeriesState(9, streaks))


def run_with(run_id: str, outcome: Outcome) -> Assessment:
    return Assessment(run_id, (Finding("ndcg", outcome, Reason.WITHIN_SPREAD),), SeriesState(9))


def test_what_began_lately_stands():
    settled = settle_past(bad_run("c", ndcg=("b", 2)), ["b"], recent=2)
    assert settled.standing == ("b", "c")
    assert settled.accepted == frozenset()


def test_what_has_stood_longer_is_the_level():
    settled = settle_past(bad_run("d", ndcg=("b", 3)), ["b", "c"], recent=2)
    assert settled.accepted == {"b", "c", "d"}
    assert settled.standing == ()


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.IMPROVED])
def test_what_a_good_run_ended_is_over(outcome):
    settled = settle_past(run_with("c", outcome), ["a", "b"], recent=10)
    assert settled.accepted == {"a", "b"}
    assert settled.standing == ()


def test_a_run_that_cannot_be_compared_ends_nothing():
    settled = settle_past(run_with("c", Outcome.INVALID), ["a", "b"], recent=10)
    assert settled.accepted == frozenset()
    assert settled.standing == ("a", "b")


def test_what_another_metric_did_before_is_over_where_only_one_stands():
    settled = settle_past(bad_run("d", ndcg=("c", 2)), ["a", "c"], recent=10)
    assert settled.accepted == {"a"}
    assert settled.standing == ("c", "d")


def test_the_earliest_fall_that_stands_decides_where_it_began():
    settled = settle_past(bad_run("d", ndcg=("c", 2), recall=("b", 3)), ["b", "c"], recent=10)
    assert settled.standing == ("b", "c", "d")


def test_a_fall_that_stands_is_opened_with_all_its_runs():
    (step,) = open_standing(bad_run("c", ndcg=("b", 2)), ("b", "c"), SERIES, NOW)
    assert step.turn is Turn.FILED
    assert step.incident.kind is Kind.REGRESSED
    assert step.incident.bad_runs == ("b", "c")
    assert step.incident.onset == "b"
    assert step.incident.metrics == ("ndcg",)


def test_what_stands_is_shared_out_to_its_owners():
    fell = bad_run("c", ndcg=("b", 2), recall=("b", 2))
    (step,) = open_standing(fell, ("b", "c"), SERIES, NOW, owners={"recall": "Retrieval"})
    assert [(part.owner, part.keys) for part in step.incident.parts] == [("", ("ndcg",)), ("Retrieval", ("recall",))]


def test_a_single_bad_run_is_a_candidate():
    (step,) = open_standing(bad_run("c", ndcg=("c", 1)), ("c",), SERIES, NOW)
    assert step.turn is Turn.SUSPECTED
    assert step.incident.state is IncidentState.CANDIDATE


def test_nothing_is_opened_where_nothing_stands():
    assert open_standing(run_with("c", Outcome.OK), (), SERIES, NOW) == ()
    assert open_standing(run_with("c", Outcome.INVALID), ("a", "b"), SERIES, NOW) == ()


@pytest.mark.parametrize(("outcomes", "over"), [("bgb", 1), ("gbb", 0), ("bbg", 2), ("b", 0)])
def test_what_a_later_good_run_has_left_behind_is_counted_as_the_past(outcomes: str, over: int):
    told = {"b": Outcome.REGRESSED, "g": Outcome.OK}
    ends = [NOW + timedelta(hours=number) for number in range(len(outcomes))]
    runs = [Run(end.isoformat(), "r", RunStatus.FINISHED, end, end, {}, {}, {}, "") for end in ends]
    report = CycleReport()
    report.take(
        JudgedRun(run, SERIES, DataCard(), (), told[each], False, False, NOW)
        for run, each in zip(runs, outcomes, strict=True)
    )
    assert report.bad_and_over == over


@pytest.mark.parametrize("is_filed", [True, False])
def test_that_nothing_is_filed_about_bad_runs_of_the_past_is_said_only_where_nothing_is(is_filed: bool, capsys):
    run = Run("r1", "r", RunStatus.FINISHED, NOW, NOW, {}, {}, {}, "")
    good = Run("r2", "r", RunStatus.FINISHED, NOW + timedelta(1), NOW + timedelta(1), {}, {}, {}, "")
    report = CycleReport(history=2)
    for each, outcome in ((run, Outcome.REGRESSED), (good, Outcome.OK)):
        report.take([JudgedRun(each, SERIES, DataCard(), (), outcome, False, False, NOW)])
    (step,) = open_standing(bad_run("r1", ndcg=("r1", 2)), ("r1",), SERIES, NOW)
    filed = [OpenIncident(step.incident, Bound("SR-8", "https://jira/SR-8", "8"))] if is_filed else []
    print_cycle("quality", report, DrainReport(), 0, filed, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert ("SR-8" in said) == is_filed
    assert ("1 of them was bad" in said) != is_filed
