"""What a run depended on besides its data: versions, commit, machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow", "mlflow")


def describe_environment(threads: int) -> dict[str, str | int]:
    """Give versions, machine and commit as flat facts."""
    facts: dict[str, str | int] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "threads": threads,
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = git_commit()
    return facts | ({"git_commit": commit} if commit else {})


def git_commit() -> str | None:
    """Give the commit of the folder the job runs in, None outside a repository or without git."""
    command = ("git", "rev-parse", "HEAD")
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def let_threads_sleep() -> None:
    """Let torch's threads sleep while they wait; to be called before torch is imported.

    Spinning gains nothing measurable on free cores, and takes two to three times the CPU where other programs run.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def tell_the_hub_nothing() -> None:
    """Let the hub's client report nothing; to be called before it or transformers is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def usable_cores() -> int:
    """Count the cores this process may use, where the system tells (Linux); all of them elsewhere."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
