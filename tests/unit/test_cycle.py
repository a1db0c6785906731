"""A cycle of a pipeline: its job, the verdict, the incidents, and what is owed to people."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.domain.capabilities import TicketState
from bot.domain.fires import FireState, mint_fire_id
from bot.domain.incidents import IncidentState, Kind
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.runs import DataCard, RunResult, RunStatus
from bot.errors import ConfigError, RunStoreError
from bot.executors.job_logs import log_in
from bot.ports import Job, JobState, JobStatus
from bot.store import fires, leases, runs
from tests.unit.cycle_bench import EAGER, ENDED, GOOD, JOB, Bench
from tests.unit.state_samples import MINUTE, NOON

OVER_RUNS = 2  # pages: the pipeline's and the year's


@pytest.fixture
def make_bench(sqlite_url, tmp_path):
    made = []

    def make_bench(*parts: dict) -> Bench:
        pipeline = {key: value for part in parts for key, value in part.items()}
        made.append(Bench(tmp_path, sqlite_url, pipeline))
        return made[-1]

    yield make_bench
    for bench in made:
        bench.database.close()


@pytest.fixture
def watched(make_bench) -> Bench:
    """A pipeline without a job: others' runs land in its experiment, which it has seen while it was empty."""
    bench = make_bench(EAGER)
    bench.run()
    return bench


@pytest.fixture
def trained(make_bench) -> Bench:
    """A pipeline with a job, whose first runs were good."""
    bench = make_bench(EAGER, JOB, {"confirm": {"reruns": 1}})
    for value in GOOD:
        bench.log(value)
    bench.values = [0.80]
    bench.run()
    return bench


# ---- the story


def test_a_drop_that_the_next_run_confirms_is_filed_repeated_and_resolved(watched):
    assert watched.outcomes(GOOD) == ["no_baseline", "insufficient_data", "insufficient_data"]
    assert watched.outcomes([0.60]) == ["suspicious"]
    assert watched.tracker.tickets == {}, "nobody hears of what one run shows"
    assert watched.outcomes([0.61]) == ["regressed"]
    assert watched.ticket.state is TicketState.TODO
    assert watched.outcomes([0.59]) == ["regressed"]
    assert len(watched.ticket.comments) == 1
    assert watched.outcomes([0.80]) == ["ok"]
    assert watched.ticket.state is TicketState.DONE
    assert len(watched.ticket.comments) == 2
    (message,) = watched.chat.messages
    assert message.text.startswith("tone: good")
    assert [text.splitlines()[0] for text in message.edits] == ["tone: bad", "tone: bad"]
    assert len(watched.pages) == OVER_RUNS + 7
    (incident,) = watched.incidents()
    assert (incident.state, incident.bad_runs) == (IncidentState.RESOLVED, ("run4", "run5", "run6"))


def test_simpler_methods_stand_beside_the_run_and_the_ends_of_its_interval_are_none(watched):
    watched.outcomes(GOOD)
    measured = {"ndcg": 0.80, "popularity/ndcg": 0.31, "low/ndcg": 0.7771, "high/ndcg": 0.8222}
    watched.log(0.80, metrics=measured)
    watched.run()
    report = next(page for page in watched.wiki.pages.values() if "run4" in page.draft.title).storage
    beside = report.partition("Beside simpler methods")[2].partition("</table>")[0]
    assert "<td>popularity</td>" in beside
    assert "0.3100" in beside
    assert not any(end in beside for end in ("low", "high", "0.7771", "0.8222"))


def test_a_drop_that_does_not_reproduce_is_told_to_nobody(watched):
    assert watched.outcomes([*GOOD, 0.60, 0.80])[-2:] == ["suspicious", "ok"]
    assert watched.tracker.tickets == {}
    assert watched.chat.messages == []
    assert [i.state for i in watched.incidents()] == [IncidentState.DISMISSED]


RETURNING = [*GOOD, 0.60, 0.61, 0.80, 0.60, 0.61]


def test_a_regression_that_returns_soon_opens_its_ticket_again(watched):
    watched.outcomes(RETURNING)
    assert watched.ticket.state is TicketState.TODO
    assert [i.state for i in watched.incidents()] == [IncidentState.OPEN]


def test_a_regression_that_returns_later_gets_a_new_ticket(make_bench):
    bench = make_bench({**EAGER, "tickets": {"comment_every": "0s", "reopen_within": "0s"}})
    bench.run()
    bench.outcomes(RETURNING)
    assert len(bench.tracker.tickets) == 2
    assert len({ticket.marker for ticket in bench.tracker.tickets.values()}) == 2


def test_a_suspicious_run_is_confirmed_by_a_rerun_with_another_seed(trained):
    trained.values = [0.60, 0.61]
    report = trained.run()
    assert [judged.outcome.value for judged in report.judged] == ["regressed"]
    assert trained.seeds == ["1", "2", "3"]
    assert trained.jobs[-1].command == ("train", "--seed=3", f"--fire={trained.jobs[-1].fire_id}")
    assert trained.ticket.state is TicketState.TODO


def test_a_rerun_that_does_not_confirm_ends_the_matter(trained):
    trained.values = [0.60, 0.80]
    trained.run()
    assert trained.tracker.tickets == {}
    assert [i.state for i in trained.incidents()] == [IncidentState.DISMISSED]


def test_no_more_reruns_are_started_than_settle_the_matter(make_bench):
    bench = make_bench(EAGER, JOB, {"confirm": {"reruns": 3}})
    for value in GOOD:
        bench.log(value)
    bench.values = [0.60, 0.61]
    bench.run()
    assert len(bench.jobs) == 2


def test_without_reruns_a_suspicion_waits_for_the_next_run(make_bench):
    bench = make_bench(EAGER, JOB)
    for value in GOOD:
        bench.log(value)
    bench.values = [0.60]
    assert [j.outcome.value for j in bench.run().judged][-1] == "suspicious"
    assert len(bench.jobs) == 1


GUARDED = {"metrics": {"ndcg": {}, "latency": {"max": 120.0, "unit": "ms"}}}


def log_latencies(bench: Bench, *latencies: float) -> None:
    for latency in latencies:
        bench.log(0.80, metrics={"ndcg": 0.80, "latency": latency})
        bench.run()


def test_a_limit_that_two_runs_break_is_filed_in_a_sentence_and_resolved_once_it_is_kept_to(make_bench):
    bench = make_bench(EAGER, GUARDED)
    bench.run()
    log_latencies(bench, 110.0, 111.0, 143.0)
    assert bench.tracker.tickets == {}
    log_latencies(bench, 141.0)
    assert bench.ticket.draft.title == "search: latency is above its limit of 120 ms"
    told = bench.ticket.draft.body.replace("\N{NO-BREAK SPACE}", " ")
    assert told.startswith("latency is at 141.0 ms, above its limit of 120 ms. 2 runs in a row show it.")
    log_latencies(bench, 112.0)
    assert bench.ticket.state is TicketState.DONE
    over = bench.ticket.comments[-1][1].replace("\N{NO-BREAK SPACE}", " ")
    assert "latency is at 112.0 ms, within its limit of 120 ms again." in over
    assert [i.kind for i in bench.incidents()] == [Kind.BREACHED]


def test_what_falls_beside_a_broken_limit_has_a_ticket_of_its_own(make_bench):
    bench = make_bench(EAGER, GUARDED)
    bench.run()
    log_latencies(bench, 110.0, 111.0, 112.0)
    for value in (0.60, 0.61):
        bench.log(value, metrics={"ndcg": value, "latency": 143.0})
        bench.run()
    assert sorted(i.kind for i in bench.incidents()) == [Kind.BREACHED, Kind.REGRESSED]
    assert len(bench.tracker.tickets) == 2


def test_a_limit_that_was_broken_before_first_contact_is_told_as_it_stands(make_bench):
    bench = make_bench(EAGER, GUARDED)
    for latency in (143.0, 144.0, 145.0):
        bench.log(0.80, metrics={"ndcg": 0.80, "latency": latency})
    bench.run()
    assert [i.kind for i in bench.incidents()] == [Kind.BREACHED]
    assert len(bench.tracker.tickets) == 1


def test_a_pipeline_of_guards_alone_is_watched_like_any_other(make_bench):
    bench = make_bench(EAGER, {"metrics": {"latency": {"within": "10 %"}}})
    bench.run()
    for latency in (100.0, 101.0, 99.0, 120.0, 121.0, 100.0):
        bench.log(None, metrics={"latency": latency})
        bench.run()
    assert bench.ticket.state is TicketState.DONE


def test_a_channel_is_told_in_its_own_language_and_the_ticket_in_that_of_the_pipeline(make_bench):
    bench = make_bench(EAGER, {"metrics": {"ndcg": {"name": {"en": "Quality", "zh": "质量"}}}})
    bench.locales = {"C1": "zh"}
    bench.herald = bench.make()
    bench.run()
    bench.outcomes([*GOOD, 0.60, 0.61])
    assert bench.ticket.draft.title == "search: Quality fell by 24.2 %"
    (message,) = bench.chat.messages
    assert "search：质量下降 24.2%（由 0.8050 降至 0.6100）" in message.text
    assert "工单：" in message.text


def test_a_silence_stands_on_the_page_of_the_pipeline_until_a_run_comes(make_bench):
    bench = make_bench(EAGER, {"stale": {"cadence": "1d", "grace": "0s"}, "publish": "changed"})
    bench.run()
    bench.outcomes([*GOOD, float("nan")])  # the last one is news, and makes a page
    bench.now += timedelta(days=3)
    bench.run()
    page = next(page for page in bench.wiki.pages.values() if page.draft.title == "search (Herald test)")
    assert "No run of search came when one was due." in page.storage
    assert all(f"run{number}" in page.storage for number in (1, 2, 3, 4))
    bench.outcomes([0.80])
    assert "when one was due" not in page.storage


def test_a_silence_stands_on_the_pages_of_all_series_and_leaves_them_with_any_run(make_bench):
    stale = {"stale": {"cadence": "1d", "grace": "0s"}, "series_by": ["params.model"], "publish": "changed"}
    bench = make_bench(EAGER, stale)
    bench.run()
    for model, values in {"a": (*GOOD, 0.60, 0.61), "b": (*GOOD, float("nan")), "calm": GOOD}.items():
        for value in values:
            bench.log(value, params={"model": model})
            bench.run()
    pages = {page.draft.title: page for page in bench.wiki.pages.values()}
    bench.log(0.80, params={"model": "calm"})
    bench.run()
    bench.now += timedelta(days=3)
    bench.run()
    a, b = (pages[f"search / {model} (Herald test)"] for model in "ab")
    assert [page.storage.count("when one was due") for page in (a, b)] == [1, 1]
    assert "ndcg fell by 24.2" in a.storage
    assert "ndcg is not a number in this run" in b.storage
    bench.log(0.80, params={"model": "calm"})
    bench.run()
    assert [page.storage.count("when one was due") for page in (a, b)] == [0, 0]
    assert "ndcg fell by 24.2" in a.storage
    assert bench.owed() == []


def test_a_silence_makes_no_page_for_a_series_that_had_none(make_bench):
    stale = {"stale": {"cadence": "1d", "grace": "0s"}, "series_by": ["params.model"], "publish": "changed"}
    bench = make_bench(EAGER, stale)
    bench.run()
    for model in ("calm", "last"):
        bench.log(0.80, params={"model": model})
        bench.run()
    bench.now += timedelta(days=3)
    bench.run()
    assert bench.pages == ["search / last (Herald test)"]


# ---- the release


def test_what_recent_runs_have_sunk_to_is_told_against_the_release(make_bench):
    bench = make_bench(EAGER, {"release": {"run": "run1"}})
    bench.run()
    told = bench.outcomes([0.80, 0.70, 0.71, 0.70, 0.705, 0.702, 0.707, 0.70, 0.703])
    assert told[told.index("suspicious") + 1] == "regressed"
    assert "below the release (0.8000)" in bench.ticket.draft.body
    assert "The release: run1" in bench.ticket.draft.body


def test_the_release_is_whatever_the_alias_stands_for_now(make_bench):
    bench = make_bench(EAGER, {"release": {"model": "models:/search@production"}})
    bench.run()
    bench.outcomes([0.80, 0.70, 0.71, 0.70, 0.708, 0.702, 0.707])
    bench.store.aliases["models:/search@production"] = "run1"
    (judged,) = (bench.log(0.705), bench.run())[1].judged
    assert [finding.against.value for finding in judged.findings] == ["pinned"]
    bench.store.aliases["models:/search@production"] = "run3"
    (judged,) = (bench.log(0.705), bench.run())[1].judged
    assert [finding.against.value for finding in judged.findings] == ["recent"]


def test_a_release_of_another_series_is_not_held_against_a_run(make_bench):
    bench = make_bench(EAGER, {"release": {"run": "other"}, "series_by": ["params.model"]})
    bench.run()
    bench.log(0.95, "other", params={"model": "large"})
    for value in (*GOOD, 0.80):
        bench.log(value, params={"model": "small"})
    assert {f.against.value for judged in bench.run().judged for f in judged.findings} == {"recent"}


# ---- jobs


def test_a_job_gets_its_fire_its_seed_and_where_mlflow_is_and_no_secret(trained):
    (job,) = trained.jobs
    assert job.environment == {
        "A": "1",
        "HERALD_FIRE_ID": job.fire_id,
        "HERALD_SEED": "1",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "MLFLOW_EXPERIMENT_NAME": "search",
    }
    assert job.timeout == timedelta(hours=2)
    assert job.folder == trained.folder / "jobs" / "search" / job.fire_id


def test_a_fire_is_recorded_before_its_job_starts(trained):
    seen = []

    def look(step: str) -> None:
        if step == "job.starting":
            with trained.database.begin() as tx:
                seen.extend(fire.state for fire in fires.unfinished(tx, "search"))

    trained.steps, trained.values = look, [0.80]
    trained.run()
    assert seen == [FireState.DUE]
    assert trained.fires() == ["ended", "ended"]


def test_the_log_of_a_job_is_kept_beside_its_run(trained):
    def carry_out(job: Job) -> JobStatus:
        log_in(job.folder).write_text("epoch 1\n")
        return trained.carry_out(job)

    trained.executor._carry_out, trained.values = carry_out, [0.80]
    trained.run()
    assert trained.store.logs["job2"] == "epoch 1\n"


@pytest.mark.parametrize(
    ("status", "words", "state"),
    [
        (JobStatus(JobState.ENDED, 3), "3", "failed"),
        (JobStatus(JobState.ENDED, None, timed_out=True), "time", "failed"),
        (JobStatus(JobState.LOST), "vanished", "lost"),
        (JobStatus(JobState.ENDED, 0), "0", "failed"),
    ],
)
def test_a_job_that_leaves_no_finished_run_is_an_incident_with_the_end_of_its_log(trained, status, words, state):
    trained.ends_with(status, "\n".join(f"line {i}" for i in range(100)) + "\nout of memory")
    (judged,) = trained.run().judged
    assert judged.outcome.value == "failed"
    (incident,) = trained.incidents(IncidentState.OPEN)
    assert (incident.kind, incident.opened_by) == (Kind.FAILED, trained.jobs[-1].fire_id)
    assert "out of memory" in trained.ticket.draft.body
    assert "line 99" in trained.ticket.draft.body
    assert "line 9\n" not in trained.ticket.draft.body
    assert words in trained.ticket.draft.body
    assert trained.fires()[-1] == state


def test_a_job_that_was_lost_is_tried_again_as_often_as_config_says(make_bench):
    bench = make_bench(EAGER, {"job": {**JOB["job"], "retry": 1}})
    bench.ends_with(JobStatus(JobState.LOST))
    bench.values = [0.80]
    (judged,) = bench.run().judged
    assert judged.run.run_id == "job2"
    assert bench.fires() == ["lost", "ended"]
    # With the seed of the first: a job that keeps checkpoints goes on from them, whatever its fire is called.
    assert [job.environment["HERALD_SEED"] for job in bench.jobs] == ["1", "1"]
    assert len({job.fire_id for job in bench.jobs}) == 2
    assert bench.tracker.tickets == {}


@pytest.mark.parametrize("left", [RunStatus.FAILED, RunStatus.KILLED, RunStatus.RUNNING])
def test_a_job_whose_run_did_not_finish_is_an_incident_of_that_run(trained, left):
    trained.ends_with(JobStatus(JobState.ENDED, 1), run=left)
    trained.run()
    (incident,) = trained.incidents(IncidentState.OPEN)
    assert (incident.kind, incident.opened_by) == (Kind.FAILED, "job2")


def test_a_run_whose_job_is_gone_is_ended(trained):
    trained.ends_with(JobStatus(JobState.LOST), run=RunStatus.RUNNING)
    trained.run()
    assert {run.run_id: run.status for run in trained.store._runs("search")}["job2"] is RunStatus.KILLED


def test_a_run_that_may_be_somebody_elses_is_not_ended(trained):
    def carry_out(job: Job) -> JobStatus:
        trained.log(None, "theirs", status=RunStatus.RUNNING)
        return JobStatus(JobState.ENDED, 1)

    trained.executor._carry_out = carry_out
    trained.run()
    assert {run.run_id: run.status for run in trained.store._runs("search")}["theirs"] is RunStatus.RUNNING


def test_a_job_that_fails_again_is_commented_and_one_that_works_resolves(trained):
    for _ in range(2):
        trained.ends_with(JobStatus(JobState.ENDED, 1), "Traceback")
        trained.run()
    assert len(trained.ticket.comments) == 1
    trained.values = [0.80]
    trained.run()
    assert trained.ticket.state is TicketState.DONE
    (incident,) = trained.incidents()
    assert incident.state is IncidentState.RESOLVED


def test_a_failed_job_is_not_baseline_and_starts_no_rerun(trained):
    trained.ends_with(JobStatus(JobState.ENDED, 1))
    report = trained.run()
    assert [judged.accepted for judged in report.judged] == [False]
    assert len(trained.jobs) == 2


def test_a_log_that_is_not_utf8_breaks_nothing(trained):
    def carry_out(job: Job) -> JobStatus:
        log_in(job.folder).write_bytes(b"caf\xe9\n")
        return JobStatus(JobState.ENDED, 1)

    trained.executor._carry_out = carry_out
    trained.run()
    assert "caf" in trained.ticket.draft.body


def test_stopping_leaves_the_job_to_be_adopted_by_the_next_herald(trained):
    trained.ends_with(JobStatus(JobState.RUNNING))
    trained.pipeline = {**trained.pipeline}
    due = trained.now
    stop_after = iter(range(3))

    def look(_: float) -> None:
        trained.stopping = next(stop_after, None) is None

    herald = replace(trained.herald, around=replace(trained.herald.around, pause=look))
    report = herald.cycle("search").run(due)
    assert report.judged == []
    (_, job) = trained.jobs
    assert trained.executor.stopped == []
    assert trained.fires()[-1] == "due"

    trained.stopping = False
    trained.log(0.80, "job2", tags={FIRE_TAG: job.fire_id})
    trained.executor.statuses[job.fire_id] = ENDED
    trained.values = [0.80]
    assert [judged.run.run_id for judged in trained.run(due).judged] == ["job2"]
    assert len(trained.jobs) == 2, "the same due time starts no second job"


def test_a_job_left_over_from_an_earlier_due_time_is_finished_before_the_next_starts(trained):
    trained.ends_with(JobStatus(JobState.RUNNING))
    trained.stopping = True
    earlier = trained.now
    trained.stopping = False
    seen = []

    def stop_at_start(step: str) -> None:
        seen.append(step)
        trained.stopping = step == "job.started"

    trained.steps = stop_at_start
    trained.run(earlier)
    trained.steps, trained.stopping = lambda _: None, False
    job = trained.jobs[-1]
    trained.log(0.79, "job2", tags={FIRE_TAG: job.fire_id})
    trained.executor.statuses[job.fire_id] = ENDED
    trained.values = [0.80]
    assert [judged.run.run_id for judged in trained.run().judged] == ["job2", "job3"]


def test_a_fire_whose_job_left_the_configuration_is_lost(trained):
    with trained.database.begin() as tx:
        fires.save(tx, replace(fires.record(tx, "search", trained.now), started_at=trained.now))
    fire_id = mint_fire_id("search", trained.now)
    trained.pipeline = {key: value for key, value in trained.pipeline.items() if key not in {"job", "confirm"}}
    trained.herald = trained.make()
    trained.run()
    with trained.database.begin() as tx:
        assert fires.find(tx, fire_id).state is FireState.LOST


def test_a_job_that_knows_nothing_of_fires_is_found_by_when_it_ran(trained):
    def carry_out(job: Job) -> JobStatus:
        trained.jobs.append(job)
        trained.log(0.80, "untagged")
        return ENDED

    trained.executor._carry_out = carry_out
    (judged,) = trained.run().judged
    assert (judged.run.run_id, judged.fire_id) == ("untagged", trained.jobs[-1].fire_id)


def test_one_herald_at_a_time_works_on_a_pipeline(trained):
    with trained.database.begin() as tx:
        leases.take(tx, "pipeline:search", "elsewhere/1/1/x", trained.now, timedelta(minutes=10))
    report = trained.run()
    assert report.busy
    assert len(trained.jobs) == 1


def test_the_lease_is_renewed_while_a_long_job_runs_and_given_back_after_it(trained):
    trained.ends_with(JobStatus(JobState.RUNNING))

    def wait(_: float) -> None:
        trained.now += MINUTE
        with trained.database.begin() as tx:
            assert not leases.take(tx, "pipeline:search", "elsewhere/1/1/x", trained.now, MINUTE)
        if trained.now > NOON + timedelta(hours=1):
            trained.executor.statuses[trained.jobs[-1].fire_id] = JobStatus(JobState.ENDED, 1)

    herald = replace(trained.herald, around=replace(trained.herald.around, pause=wait))
    herald.cycle("search").run(trained.now)
    with trained.database.begin() as tx:
        assert leases.take(tx, "pipeline:search", "elsewhere/1/1/x", trained.now, MINUTE)


def test_a_herald_that_was_paused_for_longer_than_its_lease_writes_nothing_where_another_has_finished(trained):
    trained.ends_with(JobStatus(JobState.RUNNING))

    def pause(_: float) -> None:
        trained.now += timedelta(minutes=5)
        with trained.database.begin() as tx:
            if leases.take(tx, "pipeline:search", "elsewhere/1/1/x", trained.now, MINUTE):
                fires.save(tx, replace(fires.unfinished(tx, "search")[-1], state=FireState.STOPPED))
            leases.give_back(tx, "pipeline:search", "elsewhere/1/1/x")
        trained.executor.statuses[trained.jobs[-1].fire_id] = JobStatus(JobState.ENDED, 1)

    owner = replace(trained.herald.dispatcher.owner, folder=None)  # the other is on another machine
    herald = replace(trained.herald, around=replace(trained.herald.around, pause=pause))
    herald = replace(herald, dispatcher=replace(herald.dispatcher, owner=owner))
    report = herald.cycle("search").run(trained.now)
    assert (report.busy, report.judged) == (True, [])
    with trained.database.begin() as tx:
        assert [fire.state for fire in fires.of_pipeline(tx, "search")][-1] is FireState.STOPPED
        assert owner.holdings.of == {}


# ---- runs that others log


def test_runs_that_a_plain_script_logged_are_judged_once_each(watched):
    for value in GOOD:
        watched.log(value)
    assert [judged.run.run_id for judged in watched.run().judged] == ["run1", "run2", "run3"]
    assert watched.run().judged == []


def test_a_run_logged_a_little_late_is_judged_all_the_same(watched):
    watched.outcomes(GOOD)
    watched.log(0.80, "late", ended=watched.now - timedelta(minutes=30))
    assert [judged.run.run_id for judged in watched.run().judged] == ["late"]


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.FAILED, RunStatus.KILLED])
def test_of_others_runs_only_finished_ones_are_judged(watched, status):
    watched.log(0.80, status=status)
    assert watched.run().judged == []


def test_what_ended_before_a_job_starts_is_its_baseline(make_bench):
    bench = make_bench(EAGER, JOB)
    for value in GOOD:
        bench.log(value)
    bench.values = [0.60]
    judged = bench.run().judged
    assert [each.run.run_id for each in judged] == ["run1", "run2", "run3", "job1"]
    assert judged[-1].outcome.value == "suspicious"


def test_only_runs_of_the_same_series_are_compared(make_bench):
    bench = make_bench(EAGER, {"series_by": ["params.model", "tags.data"]})
    for i in range(5):
        bench.log(0.80 + i / 1000, params={"model": "large"}, tags={"data": "v1"})
        bench.log(0.40 + i / 1000, params={"model": "small"}, tags={"data": "v1"})
    judged = bench.run().judged
    assert {each.series.series for each in judged} == {
        "params.model=large, tags.data=v1",
        "params.model=small, tags.data=v1",
    }
    assert not any(each.outcome.value == "suspicious" for each in judged)


def test_series_with_long_names_are_kept_apart(make_bench):
    bench = make_bench(EAGER, {"series_by": ["params.note"]})
    for end in "ab":
        bench.log(0.80, params={"note": "x" * 6000 + end})
    judged = bench.run().judged
    assert len({each.series.series for each in judged}) == 2
    assert all(len(each.series.series) <= 500 for each in judged), "the state keeps no more"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_run_without_its_metric_is_an_incident_at_once(watched, value):
    watched.outcomes(GOOD)
    assert watched.outcomes([value]) == ["invalid"]
    assert watched.ticket.state is TicketState.TODO


def test_a_changed_catalogue_makes_a_run_invalid(watched):
    for value in GOOD:
        watched.store.add("search", RunResult(watched.log(value), DataCard({"catalogue_size": 1000.0})))
    watched.run()
    watched.store.add("search", RunResult(watched.log(0.80), DataCard({"catalogue_size": 500.0})))
    assert [judged.outcome.value for judged in watched.run().judged] == ["invalid"]
    assert "500" in watched.ticket.draft.body


def test_a_store_that_breaks_leaves_nothing_half_told(watched):
    watched.outcomes([*GOOD, 0.60])

    def break_off(step: str) -> None:
        if step == "run.owing":
            raise RunStoreError("gone")

    watched.log(0.61)
    watched.steps = break_off
    before = watched.snapshot()
    with pytest.raises(RunStoreError):
        watched.run()
    assert watched.snapshot() == before
    watched.steps = lambda _: None
    watched.run()
    assert len(watched.tracker.tickets) == 1


def test_a_dry_judgement_starts_no_job(trained):
    trained.log(0.80)
    assert len(trained.herald.cycle("search").judge_only().judged) == 1
    assert len(trained.jobs) == 1


def test_a_pipeline_that_is_not_configured_is_refused_with_those_that_are(watched):
    with pytest.raises(ConfigError, match=r"pipeline 'serch' is not configured; configured are: search"):
        watched.herald.cycle("serch")


# ---- where people are told


@pytest.mark.parametrize(("publish", "pages"), [("all", 7), ("changed", 4), ("incidents", 3)])
def test_which_runs_get_a_page(make_bench, publish, pages):
    bench = make_bench({**EAGER, "publish": publish})
    bench.run()
    bench.outcomes([*GOOD, 0.60, 0.61, 0.59, 0.80])
    assert len(bench.pages) == OVER_RUNS + pages


@pytest.mark.parametrize("left_out", ["tracker", "wiki", "chat"])
def test_a_pipeline_may_do_without_any_of_the_services(make_bench, left_out):
    bench = make_bench(EAGER, {left_out: None})
    bench.outcomes([*GOOD, 0.60, 0.61, 0.59, 0.80])
    assert bench.owed() == []
    assert (len(bench.tracker.tickets) == 0) is (left_out == "tracker")
    assert (len(bench.wiki.pages) == 0) is (left_out == "wiki")
    assert (len(bench.chat.messages) == 0) is (left_out == "chat")


def test_calmer_settings_comment_once_a_day_and_resolve_after_two_runs_that_are_well(make_bench):
    bench = make_bench()
    bench.outcomes([*GOOD, 0.60, 0.61, 0.59, 0.60])
    assert bench.ticket.comments == []
    bench.now += timedelta(days=1)
    bench.outcomes([0.60])
    assert len(bench.ticket.comments) == 1
    assert bench.outcomes([0.80, 0.802]) == ["regressed", "ok"]  # one run does not show that it is back
    assert bench.ticket.state is TicketState.TODO
    assert bench.outcomes([0.80]) == ["ok"]
    assert bench.ticket.state is TicketState.DONE


# ---- judging again


@settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(values=st.lists(st.sampled_from([0.80, 0.805, 0.60, 0.61, float("nan")]), min_size=1, max_size=7))
def test_judging_the_same_runs_again_changes_nothing(tmp_path, migrated_sqlite, values):
    state = tmp_path / "again.db"
    shutil.copyfile(migrated_sqlite, state)
    bench = Bench(tmp_path, f"sqlite:///{state}", EAGER)
    for value in values:
        bench.log(value)
    bench.run(deliver=False)
    before = bench.snapshot()
    assert bench.run(deliver=False).judged == []
    assert bench.snapshot() == before
    with bench.database.begin() as tx:
        assert runs.count(tx, "search") == len(values)
    bench.database.close()


# ---- a long past


def test_five_hundred_old_runs_are_history_that_can_be_stopped_and_nothing_is_filed_about_them(make_bench):
    bench = make_bench(EAGER)
    for number in range(500):
        fell = (
            100 <= number < 120 or number >= 400
        )  # what came back, and what the team has lived with for a hundred runs
        bench.log((0.70 if fell else 0.80) + 0.001 * ((number * 7) % 5 - 2))
    told = []

    def note(done: int, total: int) -> None:
        told.append((done, total))
        bench.stopping = bench.stopping or (done, total) == (40, 70)

    cycle = bench.herald.cycle("search", note)
    first = cycle.run(bench.now)
    bench.stopping = False
    rest = cycle.run(bench.now)
    assert (len(first.judged), len(rest.judged)) == (40, 30), "of the newest seventy, what is not yet judged"
    assert told[:42] == [(500, 0), *((done, 70) for done in range(41))]
    assert told[-30:] == [(done, 30) for done in range(30)]
    assert bench.incidents() == []
    assert bench.owed() == []
    assert bench.outcomes([0.70]) == ["ok"]
    assert bench.tracker.tickets == {}


@pytest.mark.parametrize(("own", "looks"), [({}, 1), (JOB, 2)])
def test_who_has_no_job_looks_once_a_cycle(make_bench, monkeypatch, own, looks):
    bench = make_bench(own)
    bench.values = [*GOOD]
    bench.run()
    bench.now += 60 * MINUTE
    asked = []
    whole = bench.store.experiments
    monkeypatch.setattr(bench.store, "experiments", lambda patterns: asked.append(patterns) or whole(patterns))
    bench.run()
    assert len(asked) == looks
