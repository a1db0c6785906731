"""A metric that a run lacks is a finding of that metric alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.incidents import IncidentState, Kind, SeriesKey, advance
from bot.domain.job_protocol import UNDEFINED_TAG
from bot.domain.judge import Assessment, Outcome, Reason, SeriesState, assess
from bot.domain.policy import IncidentPolicy, MetricPolicy, Policies
from bot.domain.runs import Baseline, Run, RunResult, RunStatus

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def judge(runs, *policies):
    """Judge runs one after the other, each held against those that were accepted; return what was said of each.

    A metric of None is one that the run says is not defined.
    """
    state, accepted, said = SeriesState(), [], []
    for number, metrics in enumerate(runs):
        at = NOON + timedelta(days=number)
        undefined = ",".join(name for name, value in metrics.items() if value is None)
        tags = {UNDEFINED_TAG: undefined} if undefined else {}
        there = {name: value for name, value in metrics.items() if value is not None}
        run = RunResult(Run(f"r{number}", f"r{number}", RunStatus.FINISHED, at, at, there, tags=tags))
        assessment = assess(state, run, Baseline(tuple(accepted[-20:])), Policies(policies))
        state = assessment.state
        accepted += [run] if assessment.accepted else []
        said.append(assessment)
    return said


def outcomes(said: Assessment) -> dict[str, Outcome]:
    return {finding.metric: finding.outcome for finding in said.findings}


NDCG, MRR, TYPO = MetricPolicy("ndcg"), MetricPolicy("mrr"), MetricPolicy("ndcg_at_99")


def steady(count, **more):
    return [{"ndcg": 0.4 + 0.001 * (number % 3), "mrr": 0.5 + 0.001 * (number % 2), **more} for number in range(count)]


def test_a_metric_that_no_run_has_starves_no_other_and_a_fall_of_the_others_is_told():
    said = judge([*steady(12), *([{"ndcg": 0.2, "mrr": 0.5}] * 3)], NDCG, MRR, TYPO)
    assert all(each.accepted for each in said[:12])
    assert said[11].outcome is Outcome.OK
    assert outcomes(said[-1]) == {"ndcg": Outcome.REGRESSED, "mrr": Outcome.OK, "ndcg_at_99": Outcome.NO_BASELINE}
    assert said[-1].findings[-1].reason is Reason.MISSING


def test_a_metric_that_stopped_coming_is_invalid_and_the_others_are_judged_and_accepted():
    said = judge([*steady(8), *[{"ndcg": run["ndcg"]} for run in steady(6)]], NDCG, MRR)
    assert outcomes(said[-1]) == {"ndcg": Outcome.OK, "mrr": Outcome.INVALID}
    assert said[-1].outcome is Outcome.INVALID
    assert said[-1].accepted


def test_a_metric_that_the_data_do_not_define_files_nothing_and_resolves_nothing():
    runs = [*steady(8), *[{"ndcg": run["ndcg"], "mrr": None} for run in steady(6)]]
    said = judge(runs, NDCG, MRR)
    assert outcomes(said[-1]) == {"ndcg": Outcome.OK, "mrr": Outcome.INSUFFICIENT_DATA}
    assert said[-1].findings[-1].reason is Reason.UNDEFINED
    assert not any(each.with_outcome(Outcome.INVALID, Outcome.SUSPICIOUS, Outcome.REGRESSED) for each in said)
    assert said[-1].accepted
    assert not judge([*steady(8), {"ndcg": None, "mrr": None}], NDCG, MRR)[-1].accepted


def test_a_run_that_has_none_of_its_metrics_is_no_baseline():
    said = judge([*steady(4), {"other": 1.0}], NDCG, MRR)
    assert said[-1].outcome is Outcome.INVALID
    assert not said[-1].accepted


def test_an_optional_metric_is_judged_where_it_is_there_and_not_missed_where_it_is_not():
    runs = [run if number % 2 else {"ndcg": run["ndcg"]} for number, run in enumerate(steady(20))]
    said = judge([*runs, *([{"ndcg": 0.4, "mrr": 0.2}] * 3)], NDCG, replace(MRR, optional=True))
    assert outcomes(said[0]) == {"ndcg": Outcome.NO_BASELINE}
    assert all(each.accepted for each in said[:20])
    assert outcomes(said[-1])["mrr"] is Outcome.REGRESSED


def test_runs_that_lack_the_metric_that_fell_do_not_count_as_its_recovery():
    fall = [{"ndcg": 0.4, "mrr": 0.2}] * 3
    said = judge([*steady(10), *fall, *([{"ndcg": 0.4}] * 4), *steady(4)], NDCG, replace(MRR, optional=True))
    known = ()
    states = []
    for number, each in enumerate(said):
        steps = advance(known, each, SeriesKey("p"), IncidentPolicy(), NOON + timedelta(days=number))
        known = (
            *(i for i in known if i.incident_id not in {s.incident.incident_id for s in steps}),
            *(s.incident for s in steps),
        )
        fallen = next((i for i in known if i.kind is Kind.REGRESSED), None)
        states.append(fallen.state if fallen else None)
    assert states[12] is IncidentState.OPEN
    assert states[16] is IncidentState.OPEN
    assert states[-1] is IncidentState.RESOLVED
