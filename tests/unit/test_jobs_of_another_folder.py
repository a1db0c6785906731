"""Several Heralds on one state, each with a jobs_folder of its own: a job is started in one of them alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import Herald
from bot.cli.output.status import print_status
from bot.domain.fires import FireState, Standing
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.runs import RunStatus
from bot.ports import JobState, JobStatus
from bot.reports.overview import overview
from bot.reports.own_health import check_own_health
from bot.store import fires
from tests.memory_runs import MemoryExecutor
from tests.unit.cycle_bench import EAGER, JOB, Bench

RUNNING = JobStatus(JobState.RUNNING)


@pytest.fixture
def bench(tmp_path, sqlite_url) -> Iterator[Bench]:
    made = Bench(tmp_path / "a", sqlite_url, {**EAGER, **JOB, "schedule": {"every": "1d"}})
    yield made
    made.herald.close()


@pytest.fixture
def another(bench, tmp_path):
    """Return a Herald on the same state with what it can see of jobs; on another machine unless *folder* says."""

    def make(folder: Path = tmp_path / "b", executor: MemoryExecutor | None = None, **changes):
        executor = executor or MemoryExecutor(bench.carry_out)
        return replace(bench.make(**changes), folder=folder, executor_of=lambda _: executor), executor

    return make


@pytest.fixture
def left(bench):
    """Let the first Herald start a job and end, while the job goes on; return its fire."""
    bench.executor._carry_out = lambda _: RUNNING
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.started")
    bench.run(deliver=False)
    bench.steps, bench.stopping = lambda _: None, False
    bench.values = [0.80]
    return found(bench)[0]


def found(bench: Bench):
    with bench.database.begin() as tx:
        return fires.of_pipeline(tx, "search")


def resume(herald: Herald):
    return herald.cycle("search").resume()


def test_a_job_that_lives_elsewhere_is_left_to_the_herald_that_can_see_it(bench, another, left, capsys):
    herald, executor = another()
    report = resume(herald)
    assert report.elsewhere
    assert not report.judged
    assert executor.started == []
    (fire,) = found(bench)
    assert (fire.state, fire.standing.standing) == (FireState.DUE, Standing.AWAY)
    assert fire.place.host in fire.standing.said
    print_status(overview(herald), as_json=False)
    assert "only a Herald with that jobs_folder can see it" in " ".join(capsys.readouterr().out.split())
    with bench.database.begin() as tx:
        (check,) = check_own_health(tx, herald.config, bench.now)
    assert fire.place.host in check.said
    assert not check.ok
    bench.executor.statuses[left.fire_id] = bench.carry_out(bench.executor.started[0])
    (judged,) = resume(bench.herald).judged
    assert judged.run.run_id == "job1"
    with bench.database.begin() as tx:
        assert list(check_own_health(tx, herald.config, bench.now)) == []


def test_nothing_else_of_a_pipeline_is_started_by_hand_while_its_job_lives_elsewhere(bench, another, left):
    del left
    herald, executor = another()
    assert herald.cycle("search").run(bench.now, by_hand=True).elsewhere
    assert executor.started == []
    assert len(found(bench)) == 1


def test_a_job_that_finished_elsewhere_is_believed_by_its_run(bench, another, left):
    bench.log(0.80, "job1", tags={FIRE_TAG: left.fire_id})
    herald, executor = another()
    (judged,) = resume(herald).judged
    assert judged.run.run_id == "job1"
    assert executor.started == []
    assert [fire.state for fire in found(bench)] == [FireState.ENDED]


def test_a_run_that_goes_on_elsewhere_is_waited_for_and_nobody_elses_is_taken_for_it(bench, another, left):
    bench.log(None, "job1", tags={FIRE_TAG: left.fire_id}, status=RunStatus.RUNNING)
    bench.log(0.70, "by-hand")
    herald, executor = another()
    resume(herald)
    assert executor.started == []
    assert [run.status for run in bench.store._runs("search")] == [RunStatus.RUNNING, RunStatus.FINISHED]
    assert [fire.state for fire in found(bench)] == [FireState.DUE]


def test_what_was_started_elsewhere_is_lost_once_its_time_is_up_and_tried_again_as_config_says(bench, another, left):
    bench.now += timedelta(hours=2, minutes=4)
    herald, executor = another(job={**JOB["job"], "retry": 1})
    resume(herald)
    assert executor.started == []
    bench.now += timedelta(minutes=2)
    resume(herald)
    assert [job.fire_id == left.fire_id for job in executor.started] == [False]
    assert [fire.state for fire in found(bench)] == [FireState.LOST, FireState.ENDED]


def test_without_another_try_a_job_that_is_lost_elsewhere_has_a_ticket_that_says_where_it_was(bench, another, left):
    bench.now += timedelta(hours=3)
    herald, executor = another()
    resume(herald)
    assert herald.dispatcher.drain().failures == []
    assert executor.started == []
    assert left.place.host in bench.ticket.draft.body


def test_another_jobs_folder_of_the_same_machine_is_another_place(bench, another, left, tmp_path):
    herald, executor = another(tmp_path / "moved", bench.executor)
    assert resume(herald).elsewhere
    assert [job.fire_id for job in executor.started] == [left.fire_id]
    assert str(tmp_path / "a" / "jobs") in found(bench)[0].standing.said


def test_a_herald_that_shares_the_folder_adopts_the_job(bench, another, left, tmp_path):
    bench.executor.statuses[left.fire_id] = bench.carry_out(bench.executor.started[0])
    herald, executor = another(tmp_path / "a", bench.executor)
    (judged,) = resume(herald).judged
    assert judged.run.run_id == "job1"
    assert len(executor.started) == 1


def test_a_fire_that_was_never_submitted_is_started_by_whoever_has_its_place(bench, another):
    bench.steps = lambda step: setattr(bench, "stopping", step == "job.starting")
    bench.values = [0.80]
    bench.executor.submit, submit = (lambda _: (_ for _ in ()).throw(KeyboardInterrupt)), bench.executor.submit
    with pytest.raises(KeyboardInterrupt):
        bench.run(deliver=False)
    bench.steps, bench.stopping, bench.executor.submit = lambda _: None, False, submit
    herald, executor = another()
    assert resume(herald).elsewhere
    assert executor.started == []
    resume(bench.herald)
    assert [fire.state for fire in found(bench)] == [FireState.ENDED]
    assert len(bench.executor.started) == 1


def test_a_job_that_nobody_knows_any_more_is_not_started_again_where_it_has_left_a_run(bench, left):
    bench.executor.statuses.clear()
    bench.log(0.80, "job1", tags={FIRE_TAG: left.fire_id})
    (judged,) = resume(bench.herald).judged
    assert judged.run.run_id == "job1"
    assert len(bench.executor.started) == 1


def test_a_running_job_of_a_herald_that_noted_no_places_is_left_alone(bench, another, left):
    with bench.database.begin() as tx:
        fires.save(tx, replace(left, place=None))
    bench.log(None, "job1", tags={FIRE_TAG: left.fire_id}, status=RunStatus.RUNNING)
    herald, executor = another()
    resume(herald)
    assert executor.started == []
    bench.now += timedelta(hours=3)
    resume(herald)
    assert [fire.state for fire in found(bench)] == [FireState.LOST]
