"""A fit in a process of its own, killed at some moment and started again until it ends."""

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.__main__ import main

EACH_STEP = "checkpoint.every=1e-9"


def start_fit(job: Path, log: Path, *overrides: str) -> int:
    """Fork, which spares the seconds that torch takes to be imported, and fit there; give the process."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        written = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(written, 1)
        os.dup2(written, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        code = main(["fit", str(job), *(word for one in overrides for word in ("--set", one))])
    finally:
        os._exit(code)


def wait_or_kill(pid: int, seconds: float, number: signal.Signals) -> int:
    """Let it run so long, then send it a signal; give how it ended, negative for a signal."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fit_through_kills(job: Path, folder: Path, draw: random.Random, longest: float, settings: Sequence[str]) -> int:
    """Start a fit again and again under new names, as a scheduler does, till one ends; give how often it was killed."""
    for tried in range(100):
        pid = start_fit(job, folder / "log", f"output={folder}/try-{tried}", EACH_STEP, *settings)
        number = draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        # As if it had to be let finish in the end: later tries are given more time.
        code = wait_or_kill(pid, draw.uniform(0, longest * (1 + tried / 10)), number)
        if code == 0:
            (folder / f"try-{tried}").rename(folder / "ended")
            return tried
        assert code in (-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM), (folder / "log").read_text()
    raise AssertionError((folder / "log").read_text())
