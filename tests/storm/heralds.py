"""Two `herald serve` on one state: started, killed, stopped and told to read their configuration anew."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.storm.house import ROOT

WHILE_AT_WORK = 0.8  # of all ends
STOP_SECONDS = 60  # that a SIGTERM may take, on a machine that has other work
FAKETIME = tuple(
    Path(folder) / "faketime" / "libfaketimeMT.so.1"
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
)


def find_faketime() -> Path | None:
    return next((path for path in FAKETIME if path.exists()), None)


@dataclass
class Clock:
    """The clock of one process, that can be set while it runs; without libfaketime it stays as it is."""

    file: Path
    library: Path | None

    def step(self, seconds: float) -> None:
        written = self.file.with_suffix(".new")
        written.write_text(f"{seconds:+g}\n")
        written.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        if self.library is None:
            return {}
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


@dataclass
class Serving:
    """One `herald serve`, through all its lives."""

    name: str
    config: Path
    environment: Mapping[str, str]
    clock: Clock
    mutation: str | None = None
    lives: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # what it ended with though nobody killed it
    process: subprocess.Popen[bytes] | None = None
    _begins_at: int = 0  # bytes of the log that earlier lives wrote

    @property
    def log(self) -> Path:
        return self.config.parent / f"{self.name}.log"

    @property
    def _program(self) -> list[str]:
        if self.mutation is None and self.clock.library is None:
            return [str(Path(sys.executable).with_name("herald"))]
        begin = f"main({self.mutation!r}, sets_clock={self.clock.library is not None})"
        return [sys.executable, "-c", f"from tests.storm.entry import main; {begin}"]

    @property
    def is_at_work(self) -> bool:
        """Say whether this life has got so far as to serve; one that has ended by itself is found out elsewhere."""
        with self.log.open("rb") as log:
            log.seek(self._begins_at)
            return b"serving " in log.read() or (self.process is not None and self.process.poll() is not None)

    def start(self) -> None:
        self.lives += 1
        self._begins_at = self.log.stat().st_size if self.log.exists() else 0
        command = [*self._program, "serve", "--config", str(self.config)]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment, **self.clock.environment},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at whatever it is doing, and start it anew."""
        assert self.process is not None
        if not self._is_broken():
            self.process.kill()
            self.process.wait()
            self.ends["SIGKILL"] += 1
        self.start()

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        assert self.process is not None
        if self._is_broken():
            return
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            self.broken.append(f"{self.name}: did not stop within {STOP_SECONDS} s of SIGTERM")
        self.ends["SIGTERM"] += 1
        if code not in (0, -signal.SIGKILL) and code != -signal.SIGTERM:  # before it has set itself up, it just ends
            self.broken.append(f"{self.name}: ended with {code} after SIGTERM ({time.monotonic() - began:.0f} s)")

    def reload(self) -> None:
        """Let it read its configuration anew; before it has set itself up, that ends it as it ends any process."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        if self.process.poll() == -signal.SIGHUP:
            self.ends["SIGHUP too early"] += 1
            self.start()
        else:
            self.ends["SIGHUP"] += 1

    def _is_broken(self) -> bool:
        """Say whether it has ended by itself, and take note of it."""
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            self.broken.append(f"{self.name}: ended by itself with {code}; see {self.log}")
        return code is not None

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass
class Reaper:
    """Ends the two again and again, at moments drawn from a seed: most while they are at work, some while they start."""

    servings: tuple[Serving, Serving]
    seed: int
    kills: int
    pace: float  # seconds at work, on average, before the end comes
    killed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reap(self, stop: threading.Event) -> None:
        with ThreadPoolExecutor(len(self.servings)) as pool:
            for future in [pool.submit(self._reap, serving, stop) for serving in self.servings]:
                future.result()

    def _reap(self, serving: Serving, stop: threading.Event) -> None:
        chance = random.Random(f"{self.seed}:{serving.name}")
        while self.killed < self.kills and not stop.is_set():
            if chance.random() < WHILE_AT_WORK:
                while not serving.is_at_work and not stop.wait(0.05):
                    pass
            stop.wait(chance.expovariate(1 / self.pace))
            self._end(serving, chance.choices(("kill", "stop", "reload"), (0.88, 0.06, 0.06))[0])

    def _end(self, serving: Serving, how: str) -> None:
        match how:
            case "kill":
                serving.kill()
                with self.lock:
                    self.killed += 1
            case "stop":
                serving.stop()
                serving.start()
            case "reload":
                serving.reload()
