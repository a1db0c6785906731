"""Fits that torchrun starts, and how one of their processes is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def start(processes: int, job: Path, log: Path, *overrides: str) -> subprocess.Popen:
    settings = [word for one in overrides for word in ("--set", one)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with log.open("w") as told:
        return subprocess.Popen(
            [*launcher, "-m", "trainer", "fit", str(job), *settings], stdout=told, stderr=told, cwd=Path.cwd()
        )


def kill_rank(launcher: int, rank: int) -> None:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (pid,) = (int(one) for one in children if f"\0RANK={rank}\0" in Path(f"/proc/{one}/environ").read_text())
    os.kill(pid, signal.SIGKILL)


def wait_for(word: str, log: Path) -> None:
    patience = time.monotonic() + 120
    while word not in log.read_text():
        assert time.monotonic() < patience, log.read_text()
        time.sleep(0.2)
