"""Runs Slurm's commands, here or on a host that ssh reaches, each within its time, in an environment of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass

from bot.errors import ExecutorAwayError
from bot.executors.slurm.config import SlurmSection

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "SLURM_CONF", "SSH_AUTH_SOCK", "KRB5CCNAME")
_SSH_FAILED = 255
_NOT_FOUND = 127  # as shells say
_LONGEST = 400  # characters of what a command said
_AWAY = (  # in its words, that the answer may be another soon
    *("unable to contact slurm controller", "socket timed out", "zero bytes were transmitted", "connection refused"),
    *("standby mode", "communication connection failure", "communication failure", "transport endpoint"),
    *("munge", "authentication", "could not establish a configuration source", "temporarily", "try again"),
    *("unexpected message received", "incompatible plugin version", "slurmdbd", "database connection"),
)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def why(self) -> str:
        """Its own words, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return "; ".join(dict.fromkeys(lines))[:_LONGEST] or f"exit code {self.code}"

    @property
    def is_of_absence(self) -> bool:
        """Say whether who would know could not be asked."""
        return any(words in self.err.lower() for words in _AWAY)


@dataclass(frozen=True, slots=True)
class SlurmCommands:
    section: SlurmSection

    def run(self, *command: str, given: str = "", keeps: int | None = None) -> CommandAnswer:
        """Run a command; *given* is its input, *keeps* an open file that it holds as long as it lives.

        Raises:
            ExecutorAwayError: where it cannot be run, does not come to an end, or says that Slurm does not answer.
        """
        done = self.read(*command, given=given.encode(), keeps=keeps)
        said = CommandAnswer(
            done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )
        if said.code and (said.is_of_absence or (self.section.ssh and said.code == _SSH_FAILED)):
            raise self._away(f"{command[0]} says: {said.why}")
        if self.section.ssh and said.code == _NOT_FOUND:
            raise self._away(f"there is no command {command[0]}")
        return said

    def read(self, *command: str, given: bytes = b"", keeps: int | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a command and return all that it wrote.

        Raises:
            ExecutorAwayError: where it cannot be run, or does not come to an end.
        """
        seconds = self.section.timeout.total_seconds()
        try:
            return subprocess.run(
                self._whole(command),
                input=given,
                capture_output=True,
                check=False,
                timeout=seconds,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                pass_fds=() if keeps is None else (keeps,),
                start_new_session=True,  # a Ctrl-C that is Herald's
            )
        except subprocess.TimeoutExpired:
            raise self._away(f"{command[0]} did not end within {seconds:g} s") from None
        except OSError as error:
            what = "ssh" if self.section.ssh else command[0]
            raise self._away(f"{what} cannot be run: {error.strerror or error}") from None

    def _whole(self, command: tuple[str, ...]) -> tuple[str, ...]:
        if not self.section.ssh:
            return command
        patience = max(int(self.section.timeout.total_seconds() / 2), 1)
        options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={patience}")
        return ("ssh", *options, "--", self.section.ssh, shlex.join(command))

    def _away(self, said: str) -> ExecutorAwayError:
        return ExecutorAwayError(f"Slurm{f' at {self.section.ssh}' if self.section.ssh else ''}: {said}")
