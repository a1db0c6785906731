"""Whether a Slurm cluster takes what pipelines will submit: it is asked in earnest, and nothing is submitted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bot.domain.checks import Check
from bot.errors import ExecutorAwayError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.slurm.batch import resources
from bot.executors.slurm.commands import SlurmCommands
from bot.executors.slurm.config import SlurmSection

_AWAY = "Let this host (or the one that ssh names) ask Slurm; jobs wait until it can be asked."
_REFUSED = "Check partition, account, qos and constraint of the executor, and job.cpus, job.gpus and job.memory."
_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


def check_slurm(section: SlurmSection, wants: ExecutorWants) -> Iterator[Check]:
    slurm = SlurmCommands(section)
    try:
        ping = slurm.run("scontrol", "ping")
        if ping.code or " UP" not in ping.out:
            yield Check("controller", ok=False, said=f"Slurm: {ping.why}", remedy=_AWAY)
            return
        yield Check("controller", ok=True, said=ping.out.strip().splitlines()[0])
        for name, job in wants.jobs.items():
            yield from _check_job(slurm, section, name, job)
    except ExecutorAwayError as error:
        yield Check("controller", ok=False, said=str(error), remedy=_AWAY)
        return
    yield _check_logs(section)


def _check_job(slurm: SlurmCommands, section: SlurmSection, name: str, job: JobWants) -> Iterator[Check]:
    options = resources(section, cpus=job.cpus, gpus=job.gpus, memory=job.memory)
    said = slurm.run("sbatch", "--test-only", "--nodes=1", "--ntasks=1", *options, given="#!/bin/sh\n")
    if said.code:
        yield Check(f"jobs of {name}", ok=False, said=f"Slurm would refuse them: {said.why}", remedy=_REFUSED)
        return
    yield Check(f"jobs of {name}", ok=True, said="Slurm would take them")
    limit = _time_limit(slurm, section)
    if job.timeout is not None and limit is not None and job.timeout > limit:
        asked, most = (f"{math.ceil(each / timedelta(minutes=1))} minutes" for each in (job.timeout, limit))
        said_of_it = f"job.timeout asks for {asked}, and the partition gives {most}: such a job would never start"
        yield Check(f"time of {name}", ok=False, said=said_of_it, remedy="Shorten job.timeout, or name a partition.")


def _time_limit(slurm: SlurmCommands, section: SlurmSection) -> timedelta | None:
    """Return how long jobs of the partition may take; None where there is no limit, or it is not told."""
    where = (f"--partition={section.partition}",) if section.partition else ()
    for line in slurm.run("sinfo", "--noheader", "--format=%P|%l", *where).out.splitlines():
        name, _, limit = line.partition("|")
        if (section.partition or name.endswith("*")) and (found := _LIMIT.fullmatch(limit.strip())):
            days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
            return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return None


def _check_logs(section: SlurmSection) -> Check:
    if not section.logs:
        remedy = "Name a folder in logs that the nodes and Herald see, or let jobs write their log to MLflow."
        return Check("logs", ok=True, said="tickets will hold no log of a job", remedy=remedy)
    if not section.ssh and not Path(section.logs).is_dir():
        remedy = "Make it, on a disk that the nodes see too: without it no job would start."
        return Check("logs", ok=False, said=f"there is no folder {section.logs} here", remedy=remedy)
    return Check("logs", ok=True, said=f"jobs write to {section.logs}")
