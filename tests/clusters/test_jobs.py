"""Jobs on real clusters: started once whatever is killed, found again, stopped as a whole, believed with care."""

import os
import random
import signal
import statistics
import time
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest
from pydantic import SecretStr

from bot.errors import ExecutorAwayError, JobError
from bot.executors.ray.executor import RayExecutor
from bot.executors.slurm.executor import SlurmExecutor
from bot.executors.submission_notes import SubmissionNote, SubmissionStep, read_note, write_note
from bot.ports import JobState, Submission
from tests.clusters.conftest import ended, told, whole_log
from tests.clusters.daemons import wait_for

KILLED_JOBS, MOST_KILLS = 40, 20  # of a real cluster, and of one of them
SAVED_SECONDS = 8  # after which Slurm's controller has surely written down what it took


def test_a_job_runs_to_its_end_and_says_so(cluster, shell):
    executor = cluster.executor()
    job = shell("echo begun; echo 中文 \"'quoted'\" >&2; exit 3")
    assert executor.submit(job) is Submission.STARTED
    status = ended(executor, job)
    assert (status.state, status.exit_code, status.timed_out) == (JobState.ENDED, 3, False)
    assert whole_log(executor, job).endswith("begun\n中文 'quoted'\n")
    well = shell("true")
    executor.submit(well)
    assert ended(executor, well).exit_code == 0


def test_seed_fire_and_address_arrive_and_no_secret_of_heralds(cluster, shell, monkeypatch):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "s3cret-of-herald")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret-of-mlflow")
    monkeypatch.setenv("SLURM_JWT", "s3cret-of-slurm")
    executor = cluster.executor()
    job = shell("env; pwd; touch here")
    executor.submit(job)
    ended(executor, job)
    said = whole_log(executor, job)
    assert f"HERALD_FIRE_ID={job.fire_id}" in said
    assert "HERALD_SEED=17" in said
    assert "MLFLOW_TRACKING_URI=http://mlflow:5000" in said
    assert f"ODD={job.environment['ODD']}" in said
    assert "s3cret" not in said
    assert (cluster.folder / "here").exists()


def test_words_reach_the_command_as_they_are(cluster, shell):
    words = ("a b", "$HOME", "`id`", "it's", '"x"', "*", "", "\\n", "; exit 9", "#")
    executor = cluster.executor()
    job = replace(shell(""), command=("printf", "[%s]\\n", *words))
    executor.submit(job)
    assert ended(executor, job).exit_code == 0
    assert whole_log(executor, job).endswith("".join(f"[{word}]\n" for word in words))


def test_a_job_is_started_once_though_its_submission_is_killed_at_any_moment(cluster, shell, capsys):
    """A Herald is killed anywhere in its submission, and the next one tries; then all ask for their end."""
    chance, most = random.Random(7), 2 * seconds_of_a_submission(cluster, shell)
    jobs, kills, adopted = [], 0, 0
    for _ in range(KILLED_JOBS if cluster.is_real else 2):
        job = shell(f'echo "$HERALD_FIRE_ID" >> {told(cluster.folder / "ran")}')
        jobs.append(job)
        for _ in range(MOST_KILLS if cluster.is_real else 3):
            if not killed_while_submitting(cluster, job, chance.uniform(0.0, most)):
                break
            kills += 1
        adopted += cluster.executor().submit(job) is Submission.ADOPTED
        assert cluster.executor().submit(job) is Submission.ADOPTED
    for job in jobs:
        assert ended(cluster.executor(), job).exit_code == 0
    ran = (cluster.folder / "ran").read_text().split()
    assert sorted(ran) == sorted(job.fire_id for job in jobs)
    with capsys.disabled():
        print(f"\n{cluster.kind}: {kills} kills in {len(jobs)} submissions, {adopted} adopted; each ran once")


def seconds_of_a_submission(cluster, shell) -> float:
    return statistics.median(seconds(lambda: cluster.executor().submit(shell("true"))) for _ in range(3))


def killed_while_submitting(cluster, job, after: float) -> bool:
    """Submit in a process that is killed; say whether that was before its end."""
    pid = os.fork()
    if pid == 0:
        try:
            cluster.executor().submit(job)
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_job_is_known_again_whatever_was_noted_of_it(cluster, shell):
    executor = cluster.executor()
    for lost in ("the note", "that it was accepted"):
        job = shell(f'echo "$HERALD_FIRE_ID" >> {told(cluster.folder / "noted")}')
        executor.submit(job)
        note = read_note(job.folder)
        if lost == "the note":
            (job.folder / "submission").unlink()
        else:
            write_note(job.folder, replace(note, step=SubmissionStep.SENT, name=""))
        assert cluster.executor().submit(job) is Submission.ADOPTED
        assert ended(executor, job).exit_code == 0
    assert len((cluster.folder / "noted").read_text().split()) == 2


def test_what_was_about_to_be_sent_is_sent(cluster, shell):
    executor = cluster.executor()
    job = shell("true")
    life = executor._life() if cluster.kind == "ray" else ""
    write_note(job.folder, SubmissionNote(SubmissionStep.SENT, life, at=time.time()))
    assert executor.submit(job) is Submission.STARTED
    assert ended(executor, job).exit_code == 0


def test_a_job_is_stopped_with_everything_it_started(cluster, shell):
    executor = cluster.executor()
    pids = cluster.folder / "pids"
    pids.unlink(missing_ok=True)
    line = f"trap '' TERM; echo $$ > {told(pids)}; for n in 1 2; do sleep 600 & echo $! >> {told(pids)}; done; wait"
    job = shell(line)
    executor.submit(job)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 3, "the processes of the job")
    cluster.executor().stop(job)
    assert cluster.executor().look(job).state is JobState.ENDED
    gone = wait_for(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()), "its end", 15)
    assert gone
    executor.stop(job)
    executor.stop(shell("true"))  # which was never submitted


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_a_job_that_waits_for_room_is_queued_and_can_be_stopped(cluster, shell):
    executor = cluster.executor()
    first, second = shell("sleep 600", cpus=2), shell("true", cpus=2)
    executor.submit(first)
    wait_for(lambda: executor.look(first).state is JobState.RUNNING, "the first job")
    executor.submit(second)
    assert executor.look(second).state is JobState.QUEUED
    assert executor.log(second, 0).offset >= 0
    executor.stop(first)
    wait_for(lambda: executor.look(second).state is not JobState.QUEUED, "room")
    assert ended(executor, second).exit_code == 0


def test_a_log_is_fetched_in_parts_of_a_megabyte(cluster, shell):
    executor = cluster.executor()
    job = shell("""awk 'BEGIN { for (n = 0; n < 60000; n++) printf "line %07d \\"中\\t文\\" of the log\\n", n }'""")
    executor.submit(job)
    assert ended(executor, job).exit_code == 0
    first = executor.log(job, 0)
    assert 900_000 < len(first.data) <= 1_000_000
    said = whole_log(executor, job)
    assert len(said.encode()) > 2_000_000
    assert [line for line in said.splitlines() if line.startswith("line")] == [
        f'line {number:07d} "中\t文" of the log' for number in range(60_000)
    ]
    assert executor.log(job, 10**9).data == b""


def test_another_heralds_job_of_the_same_name_is_left_alone(cluster, shell):
    job = shell("sleep 2" if cluster.is_real else "sleep 0.2")
    cluster.executor().submit(job)
    other = replace(job, owner="herald/other", folder=job.folder / "other")
    if cluster.kind == "ray":
        with pytest.raises(JobError, match="has a job of that name already, of 'herald/nightly'"):
            cluster.executor().submit(other)
    else:  # which takes two of one name
        assert cluster.executor().submit(other) is Submission.STARTED
        assert ended(cluster.executor(), other).exit_code == 0
    assert ended(cluster.executor(), job).exit_code == 0


def test_it_costs_little_to_submit_and_to_look(cluster, shell, capsys):
    if not cluster.is_real:
        pytest.skip("only the real one says what it costs")
    executor = cluster.executor()
    submits, looks = [], []
    for _ in range(10):
        job = shell("true")
        submits.append(seconds(lambda: executor.submit(job)))  # noqa: B023
        looks += [seconds(lambda: executor.look(job)) for _ in range(5)]  # noqa: B023
        ended(executor, job)
    with capsys.disabled():
        print(
            f"\n{cluster.kind}: submit {statistics.median(submits) * 1000:.0f} ms (most {max(submits) * 1000:.0f}), "
            f"look {statistics.median(looks) * 1000:.0f} ms (most {max(looks) * 1000:.0f})"
        )
    assert statistics.median(looks) < 1


def seconds(what) -> float:
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


def test_a_cluster_that_cannot_be_asked_is_away_and_knows_its_jobs_afterwards(cluster, shell):
    """Ray forgets its jobs with its head, unless that keeps them in Redis; Slurm does not."""
    executor = cluster.executor()
    done = cluster.folder / "done-meanwhile"
    go = cluster.folder / "go-on"
    go.unlink(missing_ok=True)
    lasts = "sleep 20" if cluster.is_real else f"while [ ! -e {told(go)} ]; do sleep 0.05; done"
    job = shell(f"{lasts}; touch {told(done)}")
    executor.submit(job)
    wait_for(lambda: executor.look(job).state is JobState.RUNNING, "the job")
    time.sleep(SAVED_SECONDS if cluster.kind == "slurm" and cluster.is_real else 0)
    cluster.kill()
    begun = time.monotonic()
    for call in (
        executor.look,
        executor.stop,
        lambda _: executor.log(job, 0),
        lambda _: executor.submit(shell("true")),
    ):
        if cluster.kind == "slurm" and call not in (executor.look, executor.stop):
            continue  # a log lies in a folder; sbatch waits for long
        with pytest.raises(ExecutorAwayError):
            call(job)
    assert time.monotonic() - begun < 120
    assert executor.submit(job) is Submission.ADOPTED  # as noted: it need not ask
    go.touch()
    (cluster.restart if cluster.kind == "slurm" else cluster.start)()
    executor = cluster.executor()
    if cluster.kind == "slurm":
        assert ended(executor, job).exit_code == 0
        assert done.exists()
    else:
        status = ended(executor, job)
        assert (status.state, status.exit_code) == (JobState.LOST, None)
        assert "its head was started anew" in status.said
        assert executor.submit(job) is Submission.ADOPTED  # never to another life of the cluster
        write_note(job.folder, replace(read_note(job.folder), step=SubmissionStep.SENT))
        assert executor.submit(job) is Submission.ADOPTED
        assert executor.look(job).state is JobState.LOST
    after = shell("true")
    assert executor.submit(after) is Submission.STARTED
    assert ended(executor, after).exit_code == 0


def test_a_job_ends_when_its_time_is_up(cluster, shell):
    """Slurm counts minutes, and looks every half."""
    executor = cluster.executor()
    job = shell("sleep 600", timeout=timedelta(seconds=3 if cluster.is_real else 1))
    begun = time.monotonic()
    executor.submit(job)
    status = wait_for(lambda: found if (found := executor.look(job)).state.is_over else None, "its end", 180)
    assert status.timed_out
    assert status.state is (JobState.LOST if cluster.kind == "slurm" else JobState.ENDED)
    assert time.monotonic() - begun < 150


def test_what_a_cluster_refuses_is_told_in_its_own_words(cluster, shell):
    """The stand-ins say it in the same words, in tests/executors/test_cluster_troubles.py."""
    if not cluster.is_real:
        pytest.skip("only the real one says what its words are")
    if cluster.kind == "slurm":
        for wrong, asked, said in (
            ({"partition": "gpu"}, {}, "invalid partition specified: gpu"),
            ({"constraint": "a100"}, {}, "Invalid feature specification"),
            ({}, {"gpus": 2}, "Invalid generic resource"),
            ({}, {"memory": 10**12}, "Memory specification can not be satisfied"),
        ):
            elsewhere = SlurmExecutor(cluster.section.model_copy(update=wrong))
            with pytest.raises(JobError, match=said):
                elsewhere.submit(shell("true", **asked))
        return
    refused = RayExecutor(cluster.section.model_copy(update={"token": SecretStr("another" * 6)}))
    with pytest.raises(ExecutorAwayError, match=r"refuses who asks \(40[13]\): check its token"):
        refused.look(shell("true"))
    without = RayExecutor(cluster.section.model_copy(update={"working_dir": "http://127.0.0.1:9/code.zip"}))
    job = shell("true")
    without.submit(job)
    status = wait_for(lambda: found if (found := without.look(job)).state.is_over else None, "its end", 300)
    assert (status.state, status.exit_code) == (JobState.ENDED, None), status
    assert "Ray did not start it" in status.said
    large = shell("true", cpus=64)
    executor = cluster.executor()
    executor.submit(large)
    assert "may be waiting for resources" in executor.look(large).said
    executor.stop(large)


@pytest.mark.parametrize(
    ("asked", "reason"), [({"cpus": 64}, "PartitionConfig"), ({"timeout": timedelta(hours=2)}, "PartitionTimeLimit")]
)
def test_a_job_of_slurms_that_would_never_start_is_given_up_with_its_reason(cluster, shell, asked, reason):
    if cluster.kind != "slurm" or not cluster.is_real:
        pytest.skip("Slurm alone lets such a job wait")
    executor = cluster.executor()
    job = shell("true", **asked)
    executor.submit(job)
    wait_for(lambda: reason in executor.look(job).said, "its reason")
    note = read_note(job.folder)
    write_note(job.folder, replace(note, at=note.at - 3700))
    assert executor.look(job).said == f"Slurm let it wait for an hour and would never start it: {reason}."
    assert executor.look(job).said == "It was cancelled on Slurm."
