"""What a run depends on besides its data: versions, commit, machine, memory.

The hash and the two lines that runs are tagged with are for a reader who compares runs part by part.
"""

import gc
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from pathlib import Path

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow", "mlflow")
CGROUP_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
NO_LIMIT = 1 << 60  # bytes: what version 1 of cgroups says where there is none


def describe_environment(threads: int) -> dict[str, str | int]:
    """Give versions, machine and commit as flat facts."""
    facts: dict[str, str | int] = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "threads": threads,
        **dict(_versions()),
    }
    commit = git_commit()
    return facts | ({"git_commit": commit} if commit else {})


def tell_versions() -> str:
    """Give Python and the packages that decide most of a run's numbers, as `python 3.11.9, torch 2.9.0, ...`."""
    return ", ".join(f"{name} {number}" for name, number in _versions())


def tell_machine(root: Path = Path("/")) -> str:
    """Give the machine as `NAME, x86_64, 8 cores, PROCESSOR`, the last left out where the system does not tell."""
    cores = usable_cores()
    parts = (
        platform.node() or "unknown",
        platform.machine() or "unknown",
        "1 core" if cores == 1 else f"{cores} cores",
        *_processor(root),
    )
    return ", ".join(part.replace(",", " ") for part in parts)


def hash_installed(installed: Iterable[Distribution] | None = None) -> str:
    """Hash the names and versions of everything that is installed: what a lock file would hold."""
    found: dict[str, str] = {}
    for one in distributions() if installed is None else installed:
        # Not by `one.metadata`, which parses each description too: a tenth of a second for 200 packages.
        head = (one.read_text("METADATA") or one.read_text("PKG-INFO") or "").partition("\n\n")[0]
        named, numbered = (re.search(rf"^{key}: *(\S+)", head, re.MULTILINE) for key in ("Name", "Version"))
        if named and numbered:
            name = re.sub(r"[-_.]+", "-", named[1]).lower()  # as packaging.python.org has names compared
            found.setdefault(name, numbered[1])  # what stands first on the path is what is imported
    return sha256("\n".join(sorted(f"{name}=={number}" for name, number in found.items())).encode()).hexdigest()


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _processor(root: Path) -> Iterator[str]:
    """Give the processor's name, where Linux or else Python knows it."""
    told = _text(root / "proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+?)\s*$", told, re.MULTILINE)
    name = found[1] if found else "" if told else platform.processor()
    if name:
        yield name


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


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Let Python not look for cycles within the block, or within a function that this decorates.

    What is loaded stays: to go through it again and again, as more of it comes, is a quarter of the time. Behind the
    block it counts as old, which is seldom gone through, and not as new, which would be at once.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looked:
            if not gc.get_freeze_count():  # else it would thaw what someone else froze
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def usable_cores() -> int:
    """Count the cores this process may use, where the system tells (Linux); all of them elsewhere."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """How much more this process may take, and what says so."""

    size: int  # bytes
    limit: str


def free_memory(root: Path = Path("/")) -> FreeMemory | None:
    """Give the least of what the machine has left and what this process is allowed; None where nothing tells (Linux).

    Containers and batch systems set limits that the machine's own count knows nothing of; swap is no memory.
    """
    found = [*_left_of_machine(root), *_left_of_cgroups(root), *_left_of_addresses(root)]
    return min(found, key=lambda free: free.size, default=None)


def _left_of_machine(root: Path) -> Iterator[FreeMemory]:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if found:
        yield FreeMemory(int(found[1]) * 1024, "of the machine")


def _left_of_cgroups(root: Path) -> Iterator[FreeMemory]:
    """Give what each group above this process has left: the limit of any of them holds."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, names = root / "sys/fs/cgroup/memory", CGROUP_1
        else:
            continue
        # In a container the path may be the host's, which is not to be seen there; then the top one is its own.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            yield from _left_of_group(base.joinpath(*parts[:depth]), *names)


def _left_of_group(folder: Path, limit: str, usage: str, idle: str) -> Iterator[FreeMemory]:
    most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
    if not most.isdigit() or not used.isdigit() or int(most) >= NO_LIMIT:
        return
    # Pages of files that nobody reads count as used, and are given back when they are wanted.
    cached = re.search(rf"^{idle} (\d+)", _text(folder / "memory.stat"), re.MULTILINE)
    left = int(most) - int(used) + (int(cached[1]) if cached else 0)
    yield FreeMemory(max(0, left), f"by {folder / limit}")


def _left_of_addresses(root: Path) -> Iterator[FreeMemory]:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _text(root / "proc/self/statm").split()
    if most != resource.RLIM_INFINITY and pages:
        yield FreeMemory(max(0, most - int(pages[0]) * resource.getpagesize()), "by ulimit -v")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
