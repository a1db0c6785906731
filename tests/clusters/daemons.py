"""What the clusters of these tests are made of: programs with ports of their own, and their end."""

import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

PATIENCE = 180  # seconds that a busy machine may need


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def came(what: Callable[[], object], patience: float = PATIENCE):
    """Ask until something is there, and return it; what was found last, once patience has ended."""
    ends = time.monotonic() + patience
    while not (found := what()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def wait_for(what: Callable[[], object], name: str = "it", patience: float = PATIENCE):
    found = came(what, patience)
    assert found, f"{name} never came"
    return found


def with_children(pids: Iterable[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return list(found.values())


def named_in(folder: Path) -> list[int]:
    """Return the processes whose command names a folder of a test."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process.pid)
    return found


def kill(processes: Iterable[psutil.Process]) -> None:
    processes = list(processes)
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
