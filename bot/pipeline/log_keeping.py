"""What becomes of a job's log: beside its run whole, in a ticket its end."""

from __future__ import annotations

import sys

from bot.domain.runs import Run
from bot.errors import RunStoreError
from bot.executors import job_logs
from bot.ports import Job, RunStore
from bot.runtime.log import get_logger

_LOG_LINES = 20

log = get_logger(__name__)


def attach_log(store: RunStore, pipeline: str, run: Run, job: Job) -> None:
    """Keep the log beside the run; where that cannot be done, it stays in the job's folder and nothing waits."""
    try:
        path = job_logs.log_in(job.folder)
        with job_logs.within(path, job.log_limit or sys.maxsize) as kept:
            store.attach_log(run.run_id, kept)
    except (RunStoreError, OSError) as error:
        log.warning("log not kept beside its run", pipeline=pipeline, run=run.run_id, named=run.name, error=str(error))


def last_lines(job: Job) -> str:
    try:
        return job_logs.last_lines(job_logs.log_in(job.folder), _LOG_LINES)
    except OSError as error:
        return f"{job.folder / 'log'}: the job's log cannot be read: {error.strerror or error}"
