"""Jobs as real processes: they outlive who started them, are found again, and end as a whole."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from bot.errors import JobError
from bot.executors.job_logs import last_lines, log_in
from bot.executors.local import processes
from bot.executors.local.executor import _PARTED, LocalExecutor
from bot.ports import Job, JobState, JobStatus, Submission
from bot.runtime.own_environment import set_for_herald_alone

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds that a busy machine may need


def wait_for(condition, what: str = "it"):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.01)
    return found


def wait_for_end(job: Job, executor: LocalExecutor) -> JobStatus:
    """Wait as a Herald does that finds the job: it starts what may have been started."""
    executor.submit(job)

    def ended():
        status = executor.look(job)
        return status if status.state is not JobState.RUNNING else None

    return wait_for(ended, "the end of the job")


def number_in(path: Path) -> int:
    return int(wait_for(lambda: path.exists() and path.read_text().strip(), path.name))


@pytest.fixture
def job(tmp_path) -> Job:
    return Job("f1", ("sh", "-c", "exit 0"), tmp_path / "jobs" / "f1", tmp_path, {}, timedelta(minutes=5))


@pytest.fixture
def shell(job):
    """Return a job that runs a line of shell."""
    return lambda line, **changes: replace(job, command=("sh", "-c", line), **changes)


@pytest.fixture
def herald():
    """Return executors as each Herald has one; what they started is ended after the test."""
    made, started = [], []

    class Watched(LocalExecutor):
        def submit(self, job: Job) -> Submission:
            started.append(job)
            return super().submit(job)

    def herald() -> LocalExecutor:
        made.append(Watched())
        return made[-1]

    yield herald
    for job in started:
        LocalExecutor().stop(job)
    for executor in made:
        for process in executor._keepers.values():
            process.wait(PATIENCE)


@pytest.fixture
def executor(herald) -> LocalExecutor:
    return herald()


@pytest.mark.parametrize("code", [0, 3, 127])
def test_a_job_ends_with_the_exit_code_of_its_command(shell, executor, code):
    job = shell(f"exit {code}")
    assert wait_for_end(job, executor) == JobStatus(JobState.ENDED, code)


def test_what_a_job_writes_is_kept_in_its_log(shell, executor):
    job = shell("echo said; echo complained >&2; exit 1")
    wait_for_end(job, executor)
    assert log_in(job.folder).read_text() == "said\ncomplained\n"


def test_a_job_that_never_wrote_has_an_empty_log(job, herald):
    assert log_in(job.folder).read_text() == ""


def test_a_command_that_is_not_there_is_a_job_that_failed_saying_so(job, executor):
    job = replace(job, command=("no-such-program",))
    assert wait_for_end(job, executor) == JobStatus(JobState.ENDED, 127)
    assert "not found" in log_in(job.folder).read_text()


def test_a_folder_that_is_not_there_is_told_before_anything_starts(job, tmp_path, herald):
    with pytest.raises(JobError, match=r"job f1: cannot be started in .*nowhere: .*No such file"):
        herald().submit(replace(job, cwd=tmp_path / "nowhere"))


def test_starting_again_runs_the_command_once(shell, tmp_path, herald):
    job = shell("echo once >> ran")
    for _ in range(3):
        wait_for_end(job, herald())
    assert (tmp_path / "ran").read_text() == "once\n"


def test_two_that_start_the_same_job_at_the_same_moment_run_it_once(shell, tmp_path, herald):
    job = shell("echo once >> ran; sleep 0.2")
    executors = [herald() for _ in range(4)]
    for executor in executors:
        executor.submit(job)
    assert [wait_for_end(job, executor).exit_code for executor in executors] == [0, 0, 0, 0]
    assert (tmp_path / "ran").read_text() == "once\n"


def test_another_executor_adopts_a_job_that_runs(shell, herald):
    job = shell("read line < gate; exit 4")
    os.mkfifo(job.cwd / "gate")
    herald().submit(job)
    other = herald()
    other.submit(job)
    assert other.look(job).state is JobState.RUNNING
    (job.cwd / "gate").write_text("go\n")
    assert wait_for_end(job, other).exit_code == 4


def test_a_job_outlives_the_process_that_started_it(shell, executor):
    job = shell("echo $$ > shell-pid; read line < gate; exit 5")
    os.mkfifo(job.cwd / "gate")
    code = (
        "import sys; from pathlib import Path; from datetime import timedelta\n"
        "from bot.executors.local.executor import LocalExecutor; from bot.ports import Job\n"
        f"LocalExecutor().submit(Job('f1', {job.command!r}, Path({str(job.folder)!r}), Path({str(job.cwd)!r}), {{}}, "
        "timedelta(minutes=5)))\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert psutil.pid_exists(number_in(job.cwd / "shell-pid"))
    assert executor.look(job).state is JobState.RUNNING
    (job.cwd / "gate").write_text("go\n")
    assert wait_for_end(job, executor) == JobStatus(JobState.ENDED, 5)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_job_whose_time_is_up_is_ended_with_everything_it_started(shell, executor, herald):
    job = shell(
        "sleep 600 & echo $! > child; setsid sleep 600 & echo $! > daughter; wait", timeout=timedelta(seconds=1)
    )
    executor.submit(job)
    children = [number_in(job.cwd / name) for name in ("child", "daughter")]
    status = wait_for_end(job, executor)
    assert (status.state, status.timed_out) == (JobState.ENDED, True)
    assert not any(is_running(pid) for pid in children)
    again = herald().look(job)
    assert (again.state, again.timed_out) == (JobState.ENDED, True), "who comes later is told the same"


def test_a_job_that_ignores_being_asked_is_ended_all_the_same(shell, monkeypatch, executor):
    monkeypatch.setattr("bot.executors.local.executor._GRACE_SECONDS", 0.3)
    job = shell("trap '' TERM; echo $$ > shell-pid; while true; do sleep 0.1; done", timeout=timedelta(seconds=1))
    executor.submit(job)
    pid = number_in(job.cwd / "shell-pid")
    assert wait_for_end(job, executor).timed_out
    assert not is_running(pid)


def test_stopping_a_job_ends_it_and_stopping_again_is_harmless(shell, executor):
    job = shell("echo $$ > shell-pid; sleep 600")
    executor.submit(job)
    pid = number_in(job.cwd / "shell-pid")
    executor.stop(job)
    executor.stop(job)
    assert not is_running(pid)
    assert wait_for_end(job, executor).state is not JobState.RUNNING


def test_a_job_that_was_never_started_is_lost(job, herald):
    assert herald().look(job) == JobStatus(JobState.LOST)


def test_a_job_whose_machine_went_down_is_lost(shell, executor):
    job = shell("sleep 600")
    executor.submit(job)
    os.killpg(number_in(job.folder / "pid"), signal.SIGKILL)
    assert wait_for_end(job, executor).state is JobState.LOST


def test_a_process_that_took_over_the_number_of_a_job_is_not_taken_for_it(shell, executor):
    job = shell("exit 0")
    job.folder.mkdir(parents=True)
    (job.folder / "claimed").mkdir()
    note = job.folder / "pid"
    note.write_text(str(os.getpid()))
    long_ago = psutil.Process().create_time() - 3600
    os.utime(note, (long_ago, long_ago))
    assert executor.look(job).state is JobState.LOST
    executor.stop(job)  # or this very test would end here


def test_heralds_secrets_are_not_passed_on_and_what_config_names_is(shell, monkeypatch, executor):
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", "s3cret")
    monkeypatch.setenv("SOME_OTHER_TOKEN", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "for-mlflow")
    job = shell("env", environment={"HERALD_FIRE_ID": "f1", "OMP_NUM_THREADS": "2"})
    wait_for_end(job, executor)
    said = log_in(job.folder).read_text()
    assert "s3cret" not in said
    assert {"HERALD_FIRE_ID=f1", "OMP_NUM_THREADS=2", "MLFLOW_TRACKING_TOKEN=for-mlflow"} <= set(said.splitlines())
    assert f"PATH={os.environ['PATH']}" in said


def test_a_job_is_as_patient_with_mlflow_as_whoever_started_herald_wants(shell, monkeypatch, executor):
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "600")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        set_for_herald_alone(name, "2")
    job = shell("env")
    wait_for_end(job, executor)
    said = [line for line in log_in(job.folder).read_text().splitlines() if line.startswith("MLFLOW_HTTP")]
    assert said == ["MLFLOW_HTTP_REQUEST_MAX_RETRIES=600"]


def test_a_job_reads_nothing_from_the_terminal_of_herald(shell, executor):
    assert wait_for_end(shell("read line || exit 6"), executor).exit_code == 6


def test_the_folder_may_have_a_name_with_spaces(shell, tmp_path, executor):
    job = shell("exit 0", folder=tmp_path / "jobs of a team" / "f 1")
    assert wait_for_end(job, executor).exit_code == 0


def test_a_process_gets_no_more_memory_than_the_limit(executor, job):
    hungry = replace(job, command=(sys.executable, "-c", "bytearray(400_000_000)"), memory=200_000_000)
    assert wait_for_end(hungry, executor).exit_code == 1
    assert "MemoryError" in log_in(hungry.folder).read_text()
    fed = replace(hungry, folder=job.folder.with_name("f2"), fire_id="f2", memory=800_000_000)
    assert wait_for_end(fed, executor).exit_code == 0


def test_a_job_runs_on_as_many_processors_as_the_limit_and_jobs_take_turns(executor, job):
    ask = (sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])")
    ours = sorted(os.sched_getaffinity(0))
    said = []
    for number in range(2):
        one = replace(job, command=ask, cpus=1, fire_id=f"f{number}", folder=job.folder.with_name(f"f{number}"))
        assert wait_for_end(one, executor).exit_code == 0
        said.append(log_in(one.folder).read_text().strip())
    assert said == [f"[{ours[number % len(ours)]}] 1" for number in range(2)]
    many = replace(job, command=ask, cpus=10_000, fire_id="many", folder=job.folder.with_name("many"))
    assert wait_for_end(many, executor).exit_code == 0
    assert log_in(many.folder).read_text().strip() == f"{ours} {len(ours)}"


def test_a_command_whose_shell_was_killed_is_still_the_job(herald, shell):
    """Were it lost, another one would be started beside it."""
    first, second = herald(), herald()
    long = shell("sleep 300")
    first.submit(long)
    pid = number_in(long.folder / "pid")
    child = wait_for(lambda: psutil.Process(pid).children(), "the command")[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: first._keepers[long.fire_id].poll() is not None, "the end of the shell")
    assert second.look(long).state is JobState.RUNNING
    second.stop(long)
    wait_for(lambda: not child.is_running(), "the end of the command")
    assert second.look(long).state is JobState.LOST


def test_a_job_that_leaves_a_folder_where_its_end_is_noted_is_lost_and_keeps_nobody(executor, shell):
    job = shell('mkdir "$(dirname "$(readlink /proc/$$/fd/1)")/exit"')
    executor.submit(job)
    wait_for(lambda: executor.look(job).state is not JobState.RUNNING)
    assert executor.look(job).state is JobState.LOST


@pytest.mark.parametrize("odd", ["two", "²", ""])
def test_an_end_that_is_no_number_is_none(executor, shell, odd):
    job = shell("exit 3")
    executor.submit(job)
    assert wait_for_end(job, executor).exit_code == 3
    (job.folder / "exit").write_text(odd)
    assert executor.look(job).state is JobState.LOST
    (job.folder / "exit").unlink()
    os.mkfifo(job.folder / "exit")
    assert executor.look(job).state is JobState.LOST


def test_a_log_without_end_leaves_room_on_the_disk_and_keeps_both_its_ends(executor, shell):
    flood = "echo begin; head -c 20000000 /dev/zero | tr '\\0' x; echo; touch done; sleep 0.6; echo the end"
    job = shell(flood, log_limit=200_000)
    executor.submit(job)
    wait_for((job.cwd / "done").exists, "the flood")
    assert executor.look(job).state is JobState.RUNNING
    log = log_in(job.folder)
    assert log.stat().st_blocks * 512 < 3_000_000
    assert wait_for_end(job, executor).exit_code == 0
    with log.open("rb") as text:
        assert text.readline() == b"begin\n"
    assert last_lines(log, 1) == "the end"


# ---- who lives, by the lock


def test_no_clock_that_was_set_ends_a_job_or_loses_it(shell, herald):
    job = shell("sleep 600")
    herald().submit(job)
    number_in(job.folder / "pid")
    for days in (-40, 40):
        for note in job.folder.iterdir():
            os.utime(note, (time.time() + days * 86400,) * 2)
        assert herald().look(job).state is JobState.RUNNING


def test_a_job_in_another_container_is_seen_to_live_and_can_be_stopped_from_here(shell, herald, monkeypatch):
    """There its process numbers mean nothing, and signals do not reach it."""
    job = shell("sleep 600")
    herald().submit(job)
    number_in(job.folder / "pid")
    (job.folder / "pid").write_text("4194304")
    monkeypatch.setattr("bot.executors.local.processes.holders", lambda _lock: [])
    here = herald()
    assert here.look(job).state is JobState.RUNNING
    here.stop(job)
    assert wait_for_end(job, here) == JobStatus(JobState.ENDED, 128 + signal.SIGTERM)


def test_a_job_that_cannot_be_ended_from_here_is_said_to_live(shell, herald, monkeypatch):
    job = shell("sleep 300")
    there, here = herald(), herald()
    there.submit(job)
    keeper = number_in(job.folder / "pid")
    wait_for(lambda: psutil.Process(keeper).children(), "the command")
    os.kill(keeper, signal.SIGKILL)
    there._keepers[job.fire_id].wait()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("bot.executors.local.executor._GRACE_SECONDS", 0.1)
        elsewhere.setattr("bot.executors.local.executor._KEEPER_SECONDS", 0.1)
        elsewhere.setattr("bot.executors.local.processes.holders", lambda _lock: [])
        with pytest.raises(JobError, match="job f1: lives on, in another container or on another machine"):
            here.stop(job)
        assert here.look(job).state is JobState.RUNNING
    here.stop(job)
    assert here.look(job).state is JobState.LOST


def test_looking_at_a_job_again_and_again_keeps_nobody_from_starting_it(shell, tmp_path, herald):
    job = shell("echo once >> ran")
    (job.folder).mkdir(parents=True)
    (job.folder / "lock").touch()
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            LocalExecutor().look(job)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        assert wait_for_end(job, herald()).exit_code == 0
    finally:
        looking.set()
        for looker in lookers:
            looker.join()
    assert (tmp_path / "ran").read_text() == "once\n"


def test_a_command_that_lost_its_keeper_is_ended_when_its_time_is_up(shell, herald, monkeypatch):
    monkeypatch.setattr("bot.executors.local.executor._BETWEEN_SEARCHES", 0.0)
    first, second = herald(), herald()
    job = shell("sleep 300 & sleep 300", timeout=timedelta(seconds=2))
    first.submit(job)
    keeper = number_in(job.folder / "pid")
    tree = wait_for(lambda: len(found := psutil.Process(keeper).children(recursive=True)) == 3 and found, "all of it")
    os.kill(keeper, signal.SIGKILL)
    assert second.look(job).state is JobState.RUNNING
    assert wait_for_end(job, second) == JobStatus(JobState.ENDED, None, timed_out=True)
    assert not any(is_running(process.pid) for process in tree)


def test_a_job_whose_keeper_has_not_yet_said_who_it_is_has_one(shell, herald, monkeypatch):
    """Its processes are seen before its note; by a clock that was set they would be hours old."""
    monkeypatch.setattr("bot.executors.local.executor._BETWEEN_SEARCHES", 0.0)
    monkeypatch.setattr("bot.executors.local.processes.age", lambda _process: 1e9)
    job, executor = shell("exit 5"), herald()
    executor.submit(job)
    assert wait_for_end(job, executor) == JobStatus(JobState.ENDED, 5)


def test_a_process_is_as_old_as_the_kernel_says_whatever_the_clock():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    old = psutil.Process(process.pid)
    assert 0 <= processes.age(old) < PATIENCE
    time.sleep(0.1)
    assert processes.age(old) >= 0.05
    process.communicate(b"\n")
    assert processes.age(old) == 0


def test_a_job_that_ended_leaves_no_keeper_for_herald_to_bury(shell):
    executor = LocalExecutor()
    wait_for_end(shell("exit 0"), executor)
    assert executor._keepers == {}

    def all_buried() -> bool:
        executor._bury()
        return not _PARTED

    wait_for(all_buried, "the end of the keeper")


# ---- what is left of a job


def test_what_a_job_leaves_behind_is_ended_when_its_time_is_up_whether_herald_lives_or_not(shell, herald):
    """However it has moved: to a session of its own, without the lock, to another parent."""
    begin = "import os, subprocess, sys; p = subprocess.Popen(['sleep', '600'], start_new_session=True, env={})"
    command = f'{sys.executable} -c "{begin}; print(p.pid)" > moved; sleep 600 & echo $! > child; exit 0'
    job = shell(command, timeout=timedelta(seconds=3))
    herald().submit(job)
    left = [number_in(job.cwd / name) for name in ("moved", "child")]
    assert wait_for_end(job, herald()) == JobStatus(JobState.ENDED, 0)
    assert all(is_running(pid) for pid in left)
    wait_for(lambda: not any(is_running(pid) for pid in left), "the end of what was left")
    assert herald().look(job) == JobStatus(JobState.ENDED, 0), "it ended well, and in time"


def test_a_keeper_goes_when_nothing_is_left_to_keep(shell, executor):
    job = shell("exit 0")
    wait_for_end(job, executor)
    wait_for(lambda: not is_running(number_in(job.folder / "pid")), "the end of the keeper")


def test_a_job_that_ends_all_its_group_ends_with_its_own_code(shell, executor):
    job = shell("sleep 600 & trap 'trap - TERM; kill 0' EXIT; exit 3")
    status = wait_for_end(job, executor)
    assert (status.state, status.exit_code) == (JobState.ENDED, 128 + signal.SIGTERM)


def test_a_job_that_ended_because_the_machine_goes_down_is_lost_and_did_not_fail(shell, executor):
    job = shell("sleep 600")
    executor.submit(job)
    pid = number_in(job.folder / "pid")
    wait_for(lambda: psutil.Process(pid).children(), "the command")
    os.killpg(pid, signal.SIGTERM)
    assert wait_for_end(job, executor) == JobStatus(JobState.LOST)


def test_a_signal_that_ends_the_command_is_its_exit_code_as_in_a_shell(shell, executor):
    assert wait_for_end(shell("kill -9 $$"), executor).exit_code == 128 + signal.SIGKILL
    other = shell("kill -PIPE $$; exit 0")
    other = replace(other, fire_id="f2", folder=other.folder.with_name("f2"))
    assert wait_for_end(other, executor).exit_code == 128 + signal.SIGPIPE


# ---- jobs of an older Herald

OLD_WRAPPER = """
mkdir "$0/claimed" 2> /dev/null || exit 0
echo $$ > "$0/pid.part" && mv "$0/pid.part" "$0/pid"
"$@" > "$0/log" 2>&1 < /dev/null
echo $? > "$0/exit.part" && mv "$0/exit.part" "$0/exit"
"""


@pytest.fixture
def old_herald():
    """Start jobs as Heralds did before jobs had locks."""
    begun = []

    def start(job: Job) -> subprocess.Popen:
        job.folder.mkdir(parents=True)
        command = ["/bin/sh", "-c", OLD_WRAPPER, str(job.folder), *job.command]
        environment = {**os.environ, "HERALD_FIRE_ID": job.fire_id}
        begun.append(subprocess.Popen(command, cwd=job.cwd, env=environment, start_new_session=True))
        return begun[-1]

    yield start
    for shell in begun:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def test_a_job_that_an_older_herald_started_is_adopted(shell, old_herald, executor):
    job = shell("read line < gate; exit 4")
    os.mkfifo(job.cwd / "gate")
    old_herald(job)
    number_in(job.folder / "pid")
    executor.submit(job)
    os.utime(job.folder / "pid", (1, 1))
    assert executor.look(job).state is JobState.RUNNING
    (job.cwd / "gate").write_text("go\n")
    assert wait_for_end(job, executor) == JobStatus(JobState.ENDED, 4)


def test_a_job_that_an_older_herald_started_ends_when_its_time_is_up(shell, old_herald, executor):
    job = shell("sleep 600", timeout=timedelta(seconds=1))
    process = old_herald(job)
    number_in(job.folder / "pid")
    threading.Thread(target=process.wait).start()
    status = wait_for_end(job, executor)
    assert (status.state, status.timed_out) == (JobState.ENDED, True)


# ---- who may read it


@pytest.mark.parametrize("mask", [0, 0o077])
def test_a_jobs_folder_is_for_one_account_alone_and_what_the_job_makes_is_its_own_affair(shell, executor, mask):
    job = shell("umask; touch made", folder=Path(f"{shell('').cwd}/jobs/search/f{mask}"))
    before = os.umask(mask)
    try:
        wait_for_end(job, executor)
    finally:
        os.umask(before)
    folders = [job.folder, job.folder.parent, job.folder.parent.parent, job.folder / "claimed"]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in job.folder.iterdir() if path.is_file()} == {0o600}
    assert int(log_in(job.folder).read_text(), 8) == mask
    assert (job.cwd / "made").stat().st_mode & 0o777 == 0o666 & ~mask
