"""What every executor promises: a job is started once whatever happens, adopted, told of, and ended as a whole."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from bot.errors import ExecutorAwayError
from bot.executors.fetched_logs import FetchedLog
from bot.executors.job_logs import last_lines
from bot.ports import Executor, Job, JobState, JobStatus, Submission
from tests.executors.harness import ExecutorHarness
from tests.executors.kinds import KINDS, LocalHarness

FIRE = "c0ffee0123456789"
PATIENCE_SECONDS = 30.0


@pytest.fixture(params=KINDS)
def harness(request, tmp_path) -> Iterator[ExecutorHarness]:
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def job(tmp_path) -> Callable[..., Job]:
    """Return a job that runs a shell's words in a folder, after it has noted that it was begun."""

    def make(words: str, **changes) -> Job:
        known = {
            "fire_id": FIRE,
            "command": ("/bin/sh", "-c", f"echo begun >> {tmp_path}/begun; {words}"),
            "folder": tmp_path / "jobs" / FIRE,
            "cwd": tmp_path,
            "environment": {
                "HERALD_FIRE_ID": FIRE,
                "HERALD_SEED": "7",
                "MLFLOW_TRACKING_URI": "http://mlflow.example.com:5000",
                "MLFLOW_EXPERIMENT_NAME": "search",
                "ODD": "$(HERALD_SEED) $HOME $$ {seed} 'ö'",
            },
            "timeout": timedelta(minutes=5),
            "owner": "herald/search",
        }
        return Job(**(known | changes))

    return make


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_end(executor: Executor, job: Job) -> JobStatus:
    wait_for(lambda: executor.look(job).state.is_over)
    return executor.look(job)


def log_of(executor: Executor, job: Job, folder: Path) -> str:
    """Return the end of a job's log as a Herald reads it, which fetches it first where it is elsewhere."""
    if not (job.folder / "log").exists():
        fetched = FetchedLog(executor, job)
        while fetched.fetch_part():
            pass
    return last_lines(job.folder / "log", 20)


def times_begun(folder: Path) -> int:
    return len((folder / "begun").read_text().splitlines()) if (folder / "begun").exists() else 0


def test_a_job_that_is_submitted_again_and_again_is_started_once(harness, job, tmp_path):
    long = job("sleep 60")
    said = [harness.herald().submit(long) for _ in range(3)]
    wait_for(lambda: times_begun(tmp_path) > 0)
    assert said == [Submission.STARTED, Submission.ADOPTED, Submission.ADOPTED]
    assert times_begun(tmp_path) == 1
    harness.herald().stop(long)


def test_a_job_whose_submission_was_cut_off_at_any_step_is_started_once(harness, job, tmp_path):
    long = job("sleep 60")
    for cut in harness.cuts():
        with cut:
            try:
                harness.herald().submit(long)
            except ExecutorAwayError:
                continue
    harness.herald().submit(long)
    wait_for(lambda: times_begun(tmp_path) > 0)
    assert times_begun(tmp_path) == 1
    harness.herald().stop(long)


def test_a_herald_that_has_just_started_adopts_what_runs_and_hears_how_it_ends(harness, job, tmp_path):
    short = job(f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 3")
    harness.herald().submit(short)
    later = harness.herald()
    wait_for(lambda: later.look(short).state is JobState.RUNNING)
    (tmp_path / "go").touch()
    assert wait_for_end(later, short).exit_code == 3
    assert later.submit(short) is Submission.ADOPTED
    assert times_begun(tmp_path) == 1


@pytest.mark.parametrize("code", [0, 5])
def test_a_job_ends_with_the_exit_code_of_its_command(harness, job, code):
    executor, short = harness.herald(), job(f"exit {code}")
    executor.submit(short)
    status = wait_for_end(executor, short)
    assert (status.state, status.exit_code, status.timed_out) == (JobState.ENDED, code, False)


def test_a_job_that_is_stopped_is_gone_with_everything_it_started(harness, job, tmp_path):
    child = f"import subprocess,time; p = subprocess.Popen(['sleep', '61']); open('{tmp_path}/pids','w').write(str(p.pid)); time.sleep(61)"
    executor, long = harness.herald(), job(f'{sys.executable} -c "{child}" & wait')
    executor.submit(long)
    wait_for(lambda: (tmp_path / "pids").exists() and bool((tmp_path / "pids").read_text()))
    pid = int((tmp_path / "pids").read_text())
    executor.stop(long)
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    wait_for(lambda: executor.look(long).state.is_over)
    executor.stop(long)
    harness.herald().stop(long)


def test_a_job_whose_time_is_up_is_ended_and_said_to_have_run_out_of_it(harness, job):
    executor, long = harness.herald(), job("sleep 60", timeout=timedelta(seconds=1))
    executor.submit(long)
    assert wait_for_end(executor, long).timed_out


def test_the_end_of_the_log_is_what_the_job_wrote_last(harness, job, tmp_path):
    executor, short = harness.herald(), job("seq 1 300000; echo ended badly >&2; exit 1")
    executor.submit(short)
    wait_for_end(executor, short)
    assert log_of(executor, short, tmp_path).splitlines()[-2:] == ["300000", "ended badly"]
    whole = (job("").folder / "log").read_bytes()
    assert len(whole[whole.index(b"1\n2\n3\n") :]) == 1_988_895 + len(
        "ended badly\n"
    )  # after what a cluster writes itself


def test_a_log_is_read_on_from_where_it_was_read_to(harness, job):
    executor, short = harness.herald(), job("printf 'one\\ntwo\\n'")
    executor.submit(short)
    wait_for_end(executor, short)
    first = executor.log(short, 0)
    assert first.data.endswith(b"one\ntwo\n")
    assert executor.log(short, first.offset).data == b""
    assert executor.log(short, first.offset - 4).data == b"two\n"


def test_a_job_has_its_fire_its_seed_and_mlflows_address_and_none_of_heralds_secrets(harness, job, monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "sesame-open")
    executor, short = harness.herald(), job("env; pwd")
    executor.submit(short)
    wait_for_end(executor, short)
    said = executor.log(short, 0).data.decode()
    lines = said.splitlines()
    for name, value in short.environment.items():
        assert f"{name}={value}" in lines
    assert lines[-1] == str(short.cwd)
    assert "sesame-open" not in said


def test_a_cluster_that_is_away_says_nothing_of_its_jobs_and_nothing_is_started_twice(harness, job, tmp_path):
    if (absence := harness.away()) is None:
        pytest.skip("it is where Herald is")
    executor, long = harness.herald(), job("sleep 60")
    executor.submit(long)
    wait_for(lambda: times_begun(tmp_path) > 0)
    with absence:
        for ask in (executor.look, executor.stop):
            with pytest.raises(ExecutorAwayError):
                ask(long)
        with suppress(ExecutorAwayError):
            assert executor.submit(long) is Submission.ADOPTED  # where that it was taken is on record here
        with suppress(ExecutorAwayError):
            executor.log(long, 0)  # where it lies in a folder
    assert executor.look(long).state is JobState.RUNNING
    assert times_begun(tmp_path) == 1
    executor.stop(long)


def test_what_has_vanished_is_lost_and_not_failed(harness, job, tmp_path):
    executor, long = harness.herald(), job("sleep 60")
    executor.submit(long)
    wait_for(lambda: times_begun(tmp_path) > 0)
    harness.lose(FIRE)
    wait_for(lambda: executor.look(long).state is not JobState.RUNNING)
    assert executor.look(long).state is JobState.LOST


def test_two_heralds_with_an_instance_each_have_a_job_of_the_same_fire_at_once(harness, job, tmp_path):
    if isinstance(harness, LocalHarness):
        pytest.skip("jobs of Herald's own machine live in its own folder")
    ours, theirs = job("sleep 60"), job("exit 4", owner="other/search", folder=tmp_path / "others" / FIRE)
    executor, another = harness.herald(), harness.herald()
    assert executor.submit(ours) is Submission.STARTED
    assert another.submit(theirs) is Submission.STARTED
    assert wait_for_end(another, theirs).exit_code == 4
    assert not executor.look(ours).state.is_over
    executor.stop(ours)


def test_of_a_job_that_was_never_submitted_nothing_is_known(harness, job):
    executor = harness.herald()
    assert wait_for_end(executor, job("")).state is JobState.LOST
    executor.stop(job(""))
    assert executor.log(job(""), 0).data == b""
