"""Jobs that wait or run, a line each, as pages show them."""

from __future__ import annotations

from bot.domain.page_paths import pipeline_path
from bot.domain.page_views import JobLine
from bot.reports.jobs_at_work import JobAtWork, jobs_at_work
from bot.web.reading import Reading


def job_lines(page: Reading, name: str | None = None) -> tuple[JobLine, ...]:
    """Write the jobs of all pipelines, or of the one of that *name*."""
    return tuple(_line(page, job) for job in jobs_at_work(page.tx, page.config, page.now, name))


def _line(page: Reading, job: JobAtWork) -> JobLine:
    name = job.fire.pipeline
    return JobLine(
        title=page.title(name),
        href=page.ways.to(pipeline_path(name)),
        stage=job.stage,
        since=page.moment(job.since, name),
        executor=job.executor,
        said=job.said,
        place=job.place,
        name=job.name,
        url=job.url,
        is_rerun=job.fire.is_rerun,
    )
