"""Which runs are seen, and what becomes of those that come late, are deleted, restored, or changed."""

from datetime import timedelta

import pytest

from bot.domain.judge import Outcome
from bot.domain.runs import Release, RunStatus
from bot.errors import RunStoreError
from tests.watching.bench import BAD, GOOD, NAME


def test_experiments_are_found_by_globs(bench):
    ended = bench.now() - timedelta(hours=1)
    watched = [bench.log(GOOD, ended, experiment=name) for name in ("search-web", "search-shop")]
    other = bench.log(GOOD, ended, experiment="ads")
    bench.cycle(watch={"experiments": ["search-*"]})
    assert all(bench.is_judged(run_id) for run_id in watched)
    assert not bench.is_judged(other)


def test_a_single_experiment_is_a_name_and_no_glob(bench):
    ended = bench.now() - timedelta(hours=1)
    named = bench.log(GOOD, ended, experiment="search [v*]")
    other = bench.log(GOOD, ended, experiment="search v2")
    bench.cycle(experiment="search [v*]")
    assert bench.is_judged(named)
    assert not bench.is_judged(other)


def test_two_pipelines_over_one_experiment_each_judge_its_runs(bench):
    ended = bench.now() - timedelta(hours=1)
    run_id = bench.log(GOOD, ended)
    bench.cycle()
    config = bench.config()
    both = config.model_copy(update={"pipeline": {**config.pipeline, "another": config.pipeline[NAME]}})
    herald = bench.herald_of(both)
    assert [judged.run.run_id for judged in herald.cycle("another").run(bench.now()).judged] == [run_id]
    assert bench.is_judged(run_id)


def test_a_filter_in_mlflows_syntax_chooses_runs(bench):
    ended = bench.now() - timedelta(hours=1)
    nightly = bench.log(GOOD, ended, tags={"stage": "nightly"})
    trial = bench.log(GOOD, ended, tags={"stage": "trial"})
    bench.cycle(experiment="search", watch={"filter": "tags.stage = 'nightly'"})
    assert bench.is_judged(nightly)
    assert not bench.is_judged(trial)


def test_a_filter_that_mlflow_cannot_read_is_told_in_a_sentence(bench):
    bench.log(GOOD, bench.now())
    with pytest.raises(RunStoreError, match=r"^watch\.filter: 'tags\.stage ~ 1' is not a filter that MLflow reads: "):
        bench.cycle(experiment="search", watch={"filter": "tags.stage ~ 1"})


@pytest.mark.parametrize("parents", [False, True])
def test_a_run_without_metrics_that_holds_others_is_no_run_of_the_series_unless_config_says_so(bench, parents):
    sweep = bench.log(None, bench.now() - timedelta(hours=1))
    bench.log(GOOD, bench.now() - timedelta(hours=1), tags={"mlflow.parentRunId": sweep})
    bare = bench.log(None, bench.now() - timedelta(hours=1))
    bench.cycle(experiment="search", watch={"parents": parents})
    assert bench.is_judged(sweep) is parents
    assert bench.is_judged(bare)


@pytest.mark.parametrize("nested", [False, True])
def test_nested_runs_are_out_unless_asked_for(bench, nested):
    ended = bench.now() - timedelta(hours=1)
    parent = bench.log(GOOD, ended)
    child = bench.log(GOOD, ended, tags={"mlflow.parentRunId": parent})
    bench.cycle(experiment="search", watch={"nested": nested})
    assert bench.is_judged(parent)
    assert bench.is_judged(child) is nested


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING"])
def test_only_finished_runs_of_others_count(bench, status):
    run_id = bench.log(GOOD, bench.now() - timedelta(hours=1), status=status)
    bench.cycle()
    assert not bench.is_judged(run_id)


def test_a_run_logged_late_is_judged_against_what_had_ended_before_it(bench):
    bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.ahead = timedelta(hours=8)
    bench.log(BAD, bench.now())
    bench.cycle()
    bench.ahead = timedelta(hours=9)
    late = bench.log(GOOD, bench.now() - timedelta(hours=4))
    bench.cycle()
    (finding,) = bench.judged(late).findings
    assert finding.outcome is Outcome.OK
    assert finding.n_baseline == 4


def test_a_run_logged_later_than_the_overlap_is_not_seen(bench):
    watching = {"experiment": "search", "watch": {"overlap": "1h"}}
    bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    bench.cycle(**watching)
    bench.ahead = timedelta(hours=5)
    bench.cycle(**watching)
    too_late = bench.log(BAD, bench.now() - timedelta(hours=2))
    in_time = bench.log(GOOD, bench.now() - timedelta(minutes=50))
    bench.cycle(**watching)
    assert not bench.is_judged(too_late)
    assert bench.is_judged(in_time)


def test_a_run_that_had_ended_before_first_contact_and_came_late_is_the_past(bench):
    bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1))
    bench.cycle()
    late = [bench.log(BAD, bench.now() - timedelta(hours=2, minutes=minutes)) for minutes in (30, 20)]
    bench.cycle()
    assert all(bench.judged(run_id).accepted for run_id in late)
    assert bench.incidents() == []


def test_what_was_logged_while_herald_was_away_is_news(bench):
    bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.ahead = timedelta(days=9)
    for days in (8, 7):
        bench.log(BAD - 0.001 * days, bench.now() - timedelta(days=days))
    bench.cycle()
    assert len(bench.tracker.tickets) == 1


def test_a_clock_that_runs_ahead_blinds_nobody(bench):
    bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.log(GOOD, bench.now() + timedelta(days=4000))
    bench.cycle()
    bench.ahead = timedelta(hours=1)
    after = bench.log(GOOD, bench.now())
    bench.cycle()
    assert bench.is_judged(after)


def test_a_deleted_run_is_no_baseline_until_it_is_restored(bench):
    ids = bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.mlflow.delete_run(ids[0])
    bench.ahead = timedelta(hours=1)
    without = bench.log(GOOD, bench.now())
    bench.cycle()
    assert bench.judged(without).findings[0].n_baseline == 4
    bench.mlflow.restore_run(ids[0])
    bench.ahead = timedelta(hours=2)
    again = bench.log(GOOD, bench.now())
    bench.cycle()
    assert bench.judged(again).findings[0].n_baseline == 6


def test_a_run_deleted_before_it_was_judged_is_judged_once_it_is_restored(bench):
    bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1))
    bench.cycle()
    bench.ahead = timedelta(hours=1)
    run_id = bench.log(GOOD, bench.now())
    bench.mlflow.delete_run(run_id)
    bench.cycle()
    assert not bench.is_judged(run_id)
    bench.mlflow.restore_run(run_id)
    bench.cycle()
    assert bench.is_judged(run_id)


def test_a_metric_changed_after_the_verdict_changes_nothing(bench):
    ids = bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1))
    bench.cycle()
    before = bench.judged(ids[-1])
    bench.mlflow.log_metric(ids[-1], "ndcg", 0.9)
    bench.ahead = timedelta(hours=1)
    after = bench.log(GOOD, bench.now())
    bench.cycle()
    assert bench.judged(ids[-1]) == before
    assert bench.judged(after).findings[0].baseline == pytest.approx(GOOD, abs=0.01)


def test_an_experiment_made_since_the_last_look_has_no_past(bench):
    watching = {"watch": {"experiments": ["search-*"]}}
    bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1), experiment="search-1")
    bench.cycle(**watching)
    for seconds in (2, 1):
        bench.log(BAD - 0.001 * seconds, bench.now() - timedelta(seconds=seconds), experiment="search-2")
    bench.cycle(**watching)
    assert [incident.kind for incident in bench.incidents()] == ["regressed"]
    assert len(bench.tracker.tickets) == 1


def test_an_experiment_that_config_adds_later_brings_its_past(bench):
    bench.log_row([GOOD] * 5, bench.now() - timedelta(hours=1), experiment="search")
    other = bench.log_row([GOOD] * 5 + [BAD] * 2 + [GOOD], bench.now() - timedelta(hours=9), experiment="shop")
    bench.cycle(experiment="search")
    bench.ahead = timedelta(days=30)
    bench.cycle(watch={"experiments": ["search", "shop"]})
    assert all(bench.judged(run_id).accepted for run_id in other)
    assert bench.incidents() == []


def test_a_deleted_experiment_is_let_go_and_a_renamed_one_is_known(bench):
    ids = bench.log_row([GOOD] * 4, bench.now() - timedelta(hours=1), experiment="search-1")
    bench.cycle(watch={"experiments": ["search-*"]})
    bench.mlflow.rename_experiment(bench.experiment("search-1"), "search-one")
    bench.ahead = timedelta(hours=1)
    run_id = bench.log(GOOD, bench.now(), experiment="search-one")
    assert [judged.run.run_id for judged in bench.cycle(watch={"experiments": ["search-*"]}).judged] == [run_id]
    bench.mlflow.delete_experiment(bench.experiment("search-one"))
    assert bench.cycle(watch={"experiments": ["search-*"]}).judged == []
    assert all(bench.is_judged(run_id) for run_id in ids)


def test_what_has_no_experiment_yet_waits_for_it(bench):
    assert bench.cycle().judged == []
    for seconds in range(5):
        bench.log(GOOD, bench.now() - timedelta(seconds=10 - seconds))
    for seconds in range(2):
        bench.log(BAD, bench.now() - timedelta(seconds=3 - seconds))
    bench.cycle()
    assert len(bench.tracker.tickets) == 1


def test_a_release_is_found_by_run_or_by_the_alias_of_a_model(bench):
    run_id = bench.log(GOOD, bench.now() - timedelta(hours=1))
    store = bench.herald().run_store
    bench.mlflow.create_registered_model("search")
    version = bench.mlflow.create_model_version("search", source="mlflow-artifacts:/model", run_id=run_id)
    bench.mlflow.set_registered_model_alias("search", "production", version.version)
    by_alias = Release(model="search", alias="production")
    assert [store.released(each).run_id for each in (Release(run_id), by_alias)] == [run_id, run_id]
    unknown = (Release("0" * 32), Release(model="search", alias="none"), Release(model="none", alias="production"))
    assert [store.released(each) for each in unknown] == [None, None, None]
    bench.mlflow.delete_run(run_id)
    assert [store.released(each) for each in (Release(run_id), by_alias)] == [None, None]


def test_a_run_that_is_ended_reads_as_killed(bench):
    run_id = bench.log(GOOD, bench.now(), status="RUNNING")
    store = bench.herald().run_store
    store.end_run(run_id)
    assert store.released(Release(run_id)).status is RunStatus.KILLED
