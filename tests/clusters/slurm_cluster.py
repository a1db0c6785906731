"""A real Slurm of one node, with a munge of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from bot.executors.slurm.config import SlurmSection
from bot.executors.slurm.executor import SlurmExecutor
from tests.clusters.daemons import free_ports, kill, named_in, wait_for, with_children

CONFIG = """
ClusterName=herald
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
KillWait=2
MessageTimeout=5
NodeName=localhost CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=long Nodes=ALL MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    kind = "slurm"
    is_real = True

    def __init__(self) -> None:
        missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
        if missing:
            pytest.skip(f"{missing[0]} is not installed: apt-get install slurm-wlm")
        if os.geteuid() != 0:
            pytest.skip("a node of Slurm runs jobs as their owners, for which it has to be root")
        self.folder = Path(tempfile.mkdtemp(prefix="slurm"))
        self.folder.chmod(0o755)  # munge asks for it
        for name in ("state", "spool", "logs"):
            (self.folder / name).mkdir()
        controller, node = free_ports(2)
        self.config = self.folder / "slurm.conf"
        self.config.write_text(CONFIG.format(user="root", folder=self.folder, controller=controller, node=node))
        (self.folder / "key").write_bytes(os.urandom(128))
        (self.folder / "key").chmod(0o400)
        self.section = SlurmSection(workdir=str(self.folder), logs=str(self.folder / "logs"))

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "SLURM_CONF": str(self.config)}

    def start(self) -> None:
        munge = [f"--{name}={self.folder / place}" for name, place in _OF_MUNGE.items()]
        self._run("munged", "--force", *munge)
        self.start_controller()
        self.start_node()

    def start_controller(self) -> None:
        self._run("slurmctld", "-f", str(self.config))
        wait_for(lambda: "UP" in self.ask("scontrol", "ping"), "the controller")

    def start_node(self) -> None:
        self._run("slurmd", "-f", str(self.config), "-N", "localhost")
        wait_for(self._is_up, "the node")

    def executor(self) -> SlurmExecutor:
        """Return what a Herald has that was just started."""
        return SlurmExecutor(self.section)

    def kill(self) -> None:
        """End the controller and the node's daemon at once; what they have started lives on."""
        self.kill_controller()
        self._kill("slurmd.pid")

    def kill_controller(self) -> None:
        self._kill("slurmctld.pid")

    def _kill(self, name: str) -> None:
        pid = int((self.folder / name).read_text())
        os.kill(pid, signal.SIGKILL)
        kill(each for each in with_children([pid]) if each.pid == pid)

    def restart(self) -> None:
        self.start_controller()
        self.start_node()

    def lose_jobs(self) -> None:
        """Let the node fail, and come back."""
        for state in ("down", "resume"):
            self._run("scontrol", "update", "nodename=localhost", f"state={state}", "reason=test")
        wait_for(self._is_up, "the node")

    def _is_up(self) -> bool:
        return self.ask("sinfo", "--noheader", "--format=%T").strip() in {"idle", "mixed", "allocated"}

    def ask(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        ).stdout

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        kill(with_children(named_in(self.folder)))
        shutil.rmtree(self.folder, ignore_errors=True)


_OF_MUNGE = {"key-file": "key", "socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log"} | {
    "seed-file": "munged.seed"
}
