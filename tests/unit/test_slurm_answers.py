"""What Slurm says, as it was recorded, and what Herald makes of it; and what it is given."""

import shlex
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest
from pydantic import ValidationError

from bot.errors import ExecutorAwayError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.slurm.answers import read_accounts, read_queue, status_of
from bot.executors.slurm.batch import batch_script, options_of
from bot.executors.slurm.checks import check_slurm
from bot.executors.slurm.commands import SlurmCommands
from bot.executors.slurm.config import SlurmSection
from bot.executors.slurm.executor import SlurmExecutor
from bot.ports import Job, JobState, Submission
from tests.clusters.slurm_stand_in import SlurmStandIn

JOB = Job(
    fire_id="0123456789abcdef",
    command=("python", "fit.py", "a b"),
    folder=Path("/nowhere"),
    cwd=PurePosixPath("."),
    environment={"HERALD_SEED": "1", "NOTE": "it's $HOME"},
    timeout=timedelta(minutes=90, seconds=1),
    memory=1_500_000_000,
    cpus=4,
    gpus=2,
    owner="herald/nightly",
)


@pytest.mark.parametrize(
    ("line", "state", "code", "said"),
    [
        ("1|PENDING|Resources|0|herald:x|", JobState.QUEUED, None, ""),
        ("1|PENDING|PartitionTimeLimit|0|herald:x|", JobState.QUEUED, None, "PartitionTimeLimit"),
        ("1|CONFIGURING|None|0|herald:x|", JobState.QUEUED, None, ""),
        ("1|RUNNING|None|0|herald:x|", JobState.RUNNING, None, ""),
        ("1|COMPLETING|None|0|herald:x|", JobState.RUNNING, None, ""),
        ("1|COMPLETED|None|0|herald:x|", JobState.ENDED, 0, ""),
        ("1|FAILED|NonZeroExitCode|768|herald:x|", JobState.ENDED, 3, ""),
        ("1|FAILED|NonZeroExitCode|3:0|herald:x|", JobState.ENDED, 3, ""),
        ("1|FAILED|RaisedSignal:9(Killed)|9|herald:x|", JobState.ENDED, 137, ""),
        ("1|FAILED|JobLaunchFailure|15|herald:x|", JobState.ENDED, 143, "ended by a signal: SIGTERM"),
        ("1|FAILED|JobLaunchFailure|0:15|herald:x|", JobState.ENDED, 143, "ended by a signal: SIGTERM"),
        ("1|FAILED|JobLaunchFailure|0:53|herald:x|", JobState.ENDED, None, "JobLaunchFailure"),
        ("1|FAILED|JobLaunchFailure|4021|herald:x|", JobState.ENDED, None, "JobLaunchFailure"),
        ("1|FAILED|BadConstraints|1|herald:x|", JobState.ENDED, None, "BadConstraints"),
        ("1|CANCELLED|None|0|herald:x|", JobState.ENDED, None, "cancelled"),
        ("1|TIMEOUT|TimeLimit|15|herald:x|", JobState.LOST, None, "its time was up (TIMEOUT)"),
        ("1|OUT_OF_MEMORY|OutOfMemory|9|herald:x|", JobState.LOST, None, "more memory than it asked for"),
        ("1|NODE_FAIL|NodeDown|0|herald:x|", JobState.LOST, None, "its node failed"),
        ("1|PREEMPTED|None|0|herald:x|", JobState.LOST, None, "another job took its place"),
        ("1|BOOT_FAIL|None|0|herald:x|", JobState.LOST, None, "did not start"),
        ("1|DREAMING|None|0|herald:x|", JobState.RUNNING, None, "DREAMING"),
    ],
)
def test_states_are_told_apart(line, state, code, said):
    [job] = read_queue(line)
    found = status_of(job)
    assert (found.state, found.exit_code, found.timed_out) == (state, code, "TIMEOUT" in line)
    assert said in found.said


def test_accounting_is_read_too():
    jobs = read_accounts("7|CANCELLED by 1000|0:15|\n5|FAILED|3:0|herald:a/b\n6|FAILED|0:9|\n")
    assert [(job.number, job.state, job.exit_code) for job in jobs] == [
        (5, "FAILED", 3),
        (6, "FAILED", 137),
        (7, "CANCELLED", 143),
    ]
    assert [job.is_of("a/c") for job in jobs] == [False, True, True]


def test_nothing_of_the_environment_stands_in_the_options():
    section = SlurmSection(
        partition="gpu",
        account="search",
        qos="night",
        constraint="a100",
        gpu_resource="gpu:a100",
        logs="/shared",
        arguments=("--reservation=night",),
    )
    options = options_of(JOB, section)
    assert "--time=91" in options
    assert {"--cpus-per-task=4", "--mem=1431M", "--gres=gpu:a100:2", "--partition=gpu", "--account=search"} <= set(
        options
    )
    assert "--output=/shared/0123456789abcdef.log" in options
    assert options[-1] == "--reservation=night"
    assert not any("HOME" in option or "SEED" in option for option in options)


def test_the_script_sets_the_environment_and_becomes_the_command():
    lines = batch_script(JOB, SlurmSection()).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert shlex.split(lines[3]) == ["export", "NOTE=it's $HOME"]
    assert lines[-3:-1] == ['cd "$HOME"/. || exit 126', "exec python fit.py 'a b'"]
    assert "cd /srv/jobs || exit 126" in batch_script(JOB, SlurmSection(workdir="/srv/jobs"))


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_script_of_which_a_part_arrived_starts_nothing(tmp_path, shell):
    job = replace(JOB, command=("touch", "started"), environment={"NAME": "a 'quoted'\nvalue"})
    whole = batch_script(job, SlurmSection(workdir=str(tmp_path))).encode()
    end = whole.rindex(b"}") + 1
    for arrived in {*range(len(b"#!/bin/sh\n{"), end, 5), end - 1}:
        subprocess.run([shell], input=whole[:arrived], capture_output=True, cwd=tmp_path, check=False)
        assert not (tmp_path / "started").exists()
    assert subprocess.run([shell], input=whole[:end], cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"arguments": ["--output=/tmp/x"]}, "--output=/tmp/x sets what is Herald's to set"),
        *(
            ({"arguments": [each]}, f"{each} sets what is Herald's to set")
            for each in (
                "--arr=1-3",
                "-a1-3",
                "--job-nam=x",
                "-Jx",
                "-HJx",
                "--out=/x",
                "--cluster=b",
                "-Mb",
                "--uid=1",
            )
        ),
        ({"arguments": ["--"]}, "should be an option with its value"),
        ({"arguments": ["night"]}, "should be an option with its value"),
        ({"logs": "logs"}, "should be a whole path"),
        ({"ssh": "-oProxyCommand=x"}, "should be a host as ssh knows it"),
    ],
)
def test_config_says_what_would_be_right(keys, said):
    with pytest.raises(ValidationError, match=said):
        SlurmSection(**keys)


@pytest.fixture
def slurm(monkeypatch):
    stand_in = SlurmStandIn()
    monkeypatch.setenv("SLURM_CONF", str(stand_in.config))
    monkeypatch.setenv("PATH", stand_in.path)
    yield stand_in
    stand_in.end()


def test_no_command_there_is_away(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ExecutorAwayError, match="squeue cannot be run: No such file"):
        SlurmCommands(SlurmSection()).run("squeue")


def test_a_command_that_does_not_end_is_away():
    with pytest.raises(ExecutorAwayError, match="sleep did not end within"):
        SlurmCommands(SlurmSection(timeout=timedelta(seconds=0.2))).run("sleep", "5")


def test_over_ssh_the_same_commands_are_run_and_logs_read(slurm, tmp_path, monkeypatch):
    ssh = slurm.folder / "bin" / "ssh"
    ssh.write_text(
        '#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\n[ "$1" = login ] || exit 255\nshift\nexec sh -c "$*"\n'
    )
    ssh.chmod(0o755)
    section = slurm.section.model_copy(update={"ssh": "login"})
    job = Job("00ff", ("printf", "%s\\n", "it's here"), tmp_path / "00ff", PurePosixPath("."), {}, timedelta(minutes=1))
    executor = SlurmExecutor(section)
    assert executor.submit(job) is Submission.STARTED
    while not executor.look(job).state.is_over:
        pass
    assert executor.log(job, 0).data == b"it's here\n"
    assert executor.log(job, 5).data == b"here\n"
    with pytest.raises(ExecutorAwayError, match="Slurm at elsewhere"):
        SlurmExecutor(section.model_copy(update={"ssh": "elsewhere"})).look(job)


def test_the_doctor_asks_slurm_and_submits_nothing(slurm):
    jobs = {
        "fits": JobWants(("x",), cpus=2, timeout=timedelta(hours=1)),
        "wide": JobWants(("x",), cpus=64),
        "long": JobWants(("x",), timeout=timedelta(hours=2)),
    }
    checks = {check.name: check for check in check_slurm(slurm.section, ExecutorWants(jobs))}
    assert checks["jobs of fits"].ok
    assert "Requested node configuration is not available" in checks["jobs of wide"].said
    assert "asks for 120 minutes, and the partition gives 60" in checks["time of long"].said
    assert "time of fits" not in checks
    assert list((slurm.folder / "jobs").iterdir()) == []
    wrong = slurm.section.model_copy(update={"partition": "nope", "logs": ""})
    checks = {check.name: check for check in check_slurm(wrong, ExecutorWants({"fits": JobWants(("x",))}))}
    assert "invalid partition specified: nope" in checks["jobs of fits"].said
    assert checks["logs"].is_note
    slurm.kill()
    [check] = check_slurm(slurm.section, ExecutorWants())
    assert not check.ok
    assert "DOWN" in check.said


def test_an_option_that_only_begins_like_one_of_heralds_is_taken():
    taken = (
        "--time-min=1:00",
        "--wait-all-nodes=1",
        "-pgpu-a",
        "-wnode-J",
        "-H",
        "--exclude=n3",
        "--mail-user=o@example.com",
    )
    assert SlurmSection(arguments=taken).arguments == taken
