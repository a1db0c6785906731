"""Slurm's commands as they answered when they were asked, over jobs that are processes: `slurm_commands.py NAME ...`.

A file `down` beside the jobs says that the controller is away.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path(os.environ["SLURM_CONF"]).parent
PARTITIONS = ("short", "long")
CPUS, MEGABYTES = 2, 2000


def main() -> int:
    name = Path(sys.argv[1]).name
    given = dict(word.removeprefix("--").partition("=")[::2] for word in sys.argv[2:] if word.startswith("--"))
    if (FOLDER / "down").exists():
        return down(name)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        use_room()
        match name:
            case "sbatch":
                return sbatch(given)
            case "squeue":
                return squeue(given)
            case "scancel":
                return scancel(sys.argv[-1])
            case "sacct":
                return refuse("Slurm accounting storage is disabled")
            case "scontrol":
                print("Slurmctld(primary) at localhost is UP")
            case "sinfo":
                print("\n".join(("short*|1:00:00", "long|infinite")))
    return 0


def refuse(said: str) -> int:
    print(said, file=sys.stderr)
    return 1


def down(name: str) -> int:
    if name == "scontrol":
        print("Slurmctld(primary) at localhost is DOWN")
        return 1
    return refuse("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")


def jobs() -> list[Path]:
    found = (job for job in (FOLDER / "jobs").iterdir() if (job / "options").exists())
    return sorted(found, key=lambda job: int(job.name))


def sbatch(given: dict[str, str]) -> int:
    script = sys.stdin.read()
    if not script.startswith("#!"):  # of a Herald that was killed before it had said what to do
        said = "is empty!" if not script else "contains only whitespace!" if script.isspace() else None
        return refuse(f"sbatch: error: {f'Batch script {said}' if said else 'This does not look like a batch script.'}")
    if given.get("partition", "short") not in PARTITIONS:
        print(f"sbatch: error: invalid partition specified: {given['partition']}", file=sys.stderr)
        return refuse("sbatch: error: Batch job submission failed: Invalid partition name specified")
    if "gres" in given:
        return refuse("sbatch: error: Invalid generic resource (gres) specification")
    if "constraint" in given:
        return refuse("sbatch: error: Batch job submission failed: Invalid feature specification")
    if given.get("account", "search") != "search":
        said = "Invalid account or account/partition combination specified"
        return refuse(f"sbatch: error: Batch job submission failed: {said}")
    if megabytes(given) > MEGABYTES:
        print("sbatch: error: Memory specification can not be satisfied", file=sys.stderr)
        return refuse("sbatch: error: Batch job submission failed: Requested node configuration is not available")
    if "test-only" in given and int(given.get("cpus-per-task", 1)) > CPUS:
        return refuse("sbatch: error: Batch job submission failed: Requested node configuration is not available")
    if "test-only" in given:
        return refuse("sbatch: Job 1 to start at 2026-11-30T02:02:38 using 1 processors on nodes localhost") - 1
    if (FOLDER / "broken").exists():
        return down("sbatch")
    job = FOLDER / "jobs" / str(len(jobs()) + 1)
    job.mkdir()
    (job / "script").write_text(script)
    (job / "options").write_text(json.dumps(given))
    use_room()
    if (FOLDER / "broken after").exists():
        return down("sbatch")
    print(job.name)
    return 0


def megabytes(given: dict[str, str]) -> int:
    return int(given.get("mem", "1M").removesuffix("M"))


def use_room() -> None:
    for job in jobs():
        if (job / "pid").exists() and not is_over(job) and time.time() - (job / "pid").stat().st_mtime > limit_of(job):
            (job / "late").touch()
            end(job)
    for job in jobs():
        options = json.loads((job / "options").read_text())
        taken = sum(cpus(each) for each in jobs() if (each / "pid").exists() and not is_over(each))
        waits = not (job / "pid").exists() and not (job / "cancelled").exists()
        alone = not any(name_of(each) == name_of(job) and not is_over(each) for each in jobs() if each != job)
        if waits and not (FOLDER / "held back").exists() and taken + cpus(job) <= CPUS and (alone or is_first(job)):
            begin(job, options)


def is_first(job: Path) -> bool:
    return job == next(each for each in jobs() if name_of(each) == name_of(job))


def limit_of(job: Path) -> int:
    """Return how many seconds a job may take: a minute of this Slurm is one."""
    return int(json.loads((job / "options").read_text())["time"])


def end(job: Path) -> None:
    with suppress(ProcessLookupError):
        os.killpg(int((job / "pid").read_text()), signal.SIGKILL)


def cpus(job: Path) -> int:
    return int(json.loads((job / "options").read_text()).get("cpus-per-task", 1))


def name_of(job: Path) -> str:
    return json.loads((job / "options").read_text())["job-name"]


def begin(job: Path, options: dict[str, str]) -> None:
    keep = f'sh "{job}/script"; code=$?; echo $code > "{job}/code.new"; mv "{job}/code.new" "{job}/code"'
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with Path(options["output"]).open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", keep],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean,
            cwd="/",
            start_new_session=True,
        )
    (job / "pid").write_text(str(process.pid))


def is_over(job: Path) -> bool:
    return any((job / name).exists() for name in ("code", "cancelled", "late"))


def squeue(given: dict[str, str]) -> int:
    for job in jobs():
        options = json.loads((job / "options").read_text())
        if options["job-name"] != given["name"]:
            continue
        held = FOLDER / "held back"
        state, reason, code = "PENDING", held.read_text() if held.exists() else "Resources", 0
        if cpus(job) > CPUS:  # which is taken all the same, and waits for ever
            reason = "PartitionConfig"
        if (job / "late").exists():
            state, reason = "TIMEOUT", "TimeLimit"
        elif (job / "cancelled").exists():
            state, reason = "CANCELLED", "None"
        elif (job / "code").exists():
            code = int((job / "code").read_text()) << 8
            state, reason = ("FAILED", "NonZeroExitCode") if code else ("COMPLETED", "None")
        elif (job / "pid").exists():
            state, reason = "RUNNING", "None"
        print(f"{job.name}|{state}|{reason}|{code}|{options['comment']}|")
    return 0


def scancel(number: str) -> int:
    job = FOLDER / "jobs" / number
    if not is_over(job):
        (job / "cancelled").touch()
        if (job / "pid").exists():
            end(job)
            time.sleep(0.05)
    return 0


sys.exit(main())
