"""Looks at every connection, permission and name that a configuration leans on, and says what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from bot.config.models import Config
from bot.config.paths import with_absolute_paths
from bot.config.pipeline import JobSection, PipelineSection
from bot.connections import make_run_store, to_chat, to_executor, to_tracker, to_wiki
from bot.domain.checks import Check
from bot.domain.judge import Outcome, Reason
from bot.domain.judge.promise import between_false_tickets
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import Trouble
from bot.errors import StateError
from bot.executors.cluster_checks import check_tracking
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.ports import Selection
from bot.render.templates import check_overrides
from bot.reports.diagnose_checks import check_diagnose
from bot.reports.leader_checks import check_leader
from bot.reports.own_health import check_own_health
from bot.reports.unread import say_unread
from bot.runtime.private_files import is_open_to_others
from bot.services.checks import Examined, TicketWants, walled
from bot.services.mlflow.checks import RunsWanted, check_mlflow
from bot.store import Database, quarantine, runs
from bot.store.database import explain_version, is_newer, newest_version
from bot.text import formats
from bot.text.rounded import how_often, in_round

_LATELY = timedelta(days=28)
_MEND_RUNS = "Mend what the runs log."
_REMEDIES = {
    Trouble.NOT_HAD: "See that the place which keeps it is there, and gives it to Herald.",
    Trouble.ABSENT: "See that the runs still log it, and that the place which keeps it has not lost it.",
}
_OTHER_STORE = "Set store.url to a database that can be written."


def examine(config: Config, folder: Path, clock: Callable[[], datetime], *, fix: bool = False) -> Iterator[Examined]:
    """Look at one place after the other; with *fix*, make what is missing and safe to make."""
    config = with_absolute_paths(config, folder)
    yield _behind_a_wall("store", partial(_check_store, config, folder / config.jobs_folder))
    ails = _behind_a_wall("herald", partial(_check_own_health, config, clock()))
    if ails.checks:
        yield ails
    if config.templates:
        yield _behind_a_wall("templates", partial(_check_templates, folder / config.templates))
    yield _behind_a_wall("mlflow", partial(_check_mlflow, config, clock))
    if any(each.diagnose is not None for each in config.pipeline.values()):
        yield _behind_a_wall("diagnose", partial(_check_diagnoses, config, folder))
    promises = _behind_a_wall("judge", partial(_check_promises, config, clock()))
    if promises.checks:
        yield promises
    for name, executor in config.executor.items():
        if not executor.is_local:
            yield _behind_a_wall(f"executor.{name}", partial(_check_executor, config, name))
    for name, tracker in config.tracker.items():
        wants = _wants(config, name)
        yield _behind_a_wall(f"tracker.{name}", partial(to_tracker(tracker).check, wants, clock(), fix=fix))
    for name, wiki in config.wiki.items():
        yield _behind_a_wall(f"wiki.{name}", partial(to_wiki(wiki).check, clock(), fix=fix))
    for name, chat in config.chat.items():
        channels = dict.fromkeys(p.channel for p in config.pipeline.values() if p.chat == name and p.channel)
        yield _behind_a_wall(f"chat.{name}", partial(to_chat(chat).check, list(channels), clock()))


def _behind_a_wall(place: str, look: Callable[[], Iterable[Check]]) -> Examined:
    """Look at a place; whatever goes wrong there is said, and the next is looked at all the same."""
    return Examined(place, tuple(walled("answer", look)))


def _check_store(config: Config, jobs: Path) -> Iterator[Check]:
    try:
        database = Database(config.store.url.get_secret_value(), read_only=True)
        found, obstacle = database.version(), database.why_not_writable()
        of_runs = list(_check_judged(database, config)) if found == newest_version() else []
        of_leader = list(_check_leader(database)) if found == newest_version() else []
        database.close()
    except StateError as error:
        yield Check("database", ok=False, said=str(error), remedy=_OTHER_STORE)
        return
    yield _judge_store(database.address, found, obstacle)
    yield from (*of_leader, *of_runs)
    yield from _check_privacy(database.file, jobs)


def _check_leader(database: Database) -> Iterator[Check]:
    with database.begin() as tx:
        yield from check_leader(tx)


def _check_judged(database: Database, config: Config) -> Iterator[Check]:
    """Say which runs are set aside, and what the latest of each pipeline was judged without."""
    with database.begin() as tx:
        for name, some in quarantine.of_each(tx).items():
            said = f"{len(some):,} could not be judged; the latest, {some[-1].name}: {some[-1].why}"
            remedy = "Look at what that run logged. The others are judged; it is tried again, by the next version too."
            yield Check(f"runs set aside of {name}", ok=False, said=said, remedy=remedy)
        for name in config.pipeline:
            last = runs.latest(tx, name)
            yield from () if last is None else _check_limits(name, config.pipeline[name], last)
            for each in () if last is None else last.unread:
                said = f"the latest run was judged without: {say_unread(each)}"
                yield Check(f"artifacts of {name}", ok=True, said=said, remedy=_REMEDIES.get(each.trouble, _MEND_RUNS))


def _check_own_health(config: Config, now: datetime) -> Iterator[Check]:
    try:
        with _state_of(config) as tx:
            yield from () if tx is None else check_own_health(tx, config, now)
    except StateError:
        return  # which is said of the store


def _check_diagnoses(config: Config, folder: Path) -> Iterator[Check]:
    """Say of each pipeline whether what reruns are to set could be set."""
    with _state_of(config) as tx:
        for name, section in config.pipeline.items():
            here = section.job is None or config.runs_here(section.job.executor)
            yield from check_diagnose(tx, name, section, folder, runs_here=here)


@contextmanager
def _state_of(config: Config) -> Iterator[Connection | None]:
    """Open the state to read it; None where there is none that this Herald reads."""
    database = Database(config.store.url.get_secret_value(), read_only=True)
    try:
        if database.version() != newest_version():
            yield None
            return
        with database.begin() as tx:
            yield tx
    finally:
        database.close()


def _check_limits(name: str, section: PipelineSection, last: JudgedRun) -> Iterator[Check]:
    """Say how the latest run stands to the limits of its metrics: those that it breaks, and those that it cannot."""
    limits = section.policies.limits
    of_limits = {finding.metric: finding for finding in last.findings if finding.part is None}
    broken = [f for f in last.findings if f.outcome in {Outcome.OUTSIDE, Outcome.BREACHED} and f.limit is not None]
    waiting = [
        limit.name
        for limit in limits
        if limit.share is not None and limit.name in of_limits and of_limits[limit.name].reason is Reason.FIRST_RUNS
    ]
    for each in broken:
        side, unit = each.reason.replace("_limit", ""), section.metrics[each.metric].unit
        value, limit = formats.beside_limit(each.value or 0.0, each.limit or 0.0, unit)
        said = f"{each.metric} of the latest run, {value}, is {side} its limit of {limit}"
        yield Check(f"limits of {name}", ok=True, said=said, remedy="Where the limit is out of date, change it.")
    for metric in waiting:
        said = f"{metric}: its limits are a share of the release, or of {section.judge.min_runs} accepted runs"
        yield Check(f"limits of {name}", ok=True, said=f"{said}, and there is neither yet")
    if limits and not broken and not waiting:
        said = f"the latest run keeps to the limits of {', '.join(limit.name for limit in limits)}"
        yield Check(f"limits of {name}", ok=True, said=said)


def _judge_store(address: str, found: str | None, obstacle: str | None) -> Check:
    if found is not None and is_newer(found):
        return Check("database", ok=False, said=f"{address}: {explain_version(found)}", remedy="Install that Herald.")
    if obstacle is not None:
        return Check("database", ok=False, said=f"{address}: {obstacle}", remedy=_OTHER_STORE)
    if found is None:
        return Check("database", ok=True, said=f"{address}: there is none yet; the first run makes it")
    is_ours = found == newest_version()
    return Check("database", ok=True, said=address if is_ours else f"{address}: {explain_version(found)}")


def _check_privacy(file: Path | None, jobs: Path) -> Iterator[Check]:
    """Warn of what other accounts of this machine may read; tickets and logs say more than everybody should know."""
    kept = [] if file is None else [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]
    for path in (*kept, jobs):
        if is_open_to_others(path):
            mode = "700" if path.is_dir() else "600"
            said = f"{path} is open to other accounts of this machine"
            yield Check("privacy", ok=True, said=said, remedy=f"chmod {mode} {shlex.quote(str(path))}")


def _check_templates(overrides: Path) -> Iterator[Check]:
    if not overrides.is_dir():
        remedy = "Make the folder, or take templates out of the configuration."
        yield Check("folder", ok=False, said=f"there is no folder {overrides}", remedy=remedy)
        return
    problems = check_overrides(overrides)
    for problem in problems:
        yield Check(
            "template", ok=False, said=str(problem), remedy="Mend or remove it; Herald's own is used until then."
        )
    if not problems:
        said = f"{overrides}: names and syntax are right; whether they render, `herald run NAME --dry-run` says"
        yield Check("templates", ok=True, said=said)


def _check_mlflow(config: Config, clock: Callable[[], datetime]) -> Iterator[Check]:
    return check_mlflow(config.mlflow, runs_wanted(config), make_run_store(config), clock())


def runs_wanted(config: Config) -> list[RunsWanted]:
    """Gather what the pipelines want of MLflow."""
    return [
        RunsWanted(
            pipeline=name,
            experiments=each.wanted_experiments,
            watched=each.watched,
            selection=Selection(each.watch.filter, each.watch.nested),
            metrics={metric: section.optional for metric, section in each.metrics.items()},
            release=each.pinned,
            has_job=each.job is not None,
            has_schedule=each.schedule is not None,
        )
        for name, each in config.pipeline.items()
    ]


def _check_executor(config: Config, name: str) -> Iterator[Check]:
    section = config.executor[name]
    tracking_uri = config.tracking_uri_for(section)
    jobs = {
        pipeline: _wants_of_job(each.job)
        for pipeline, each in config.pipeline.items()
        if each.job is not None and each.job.executor == name
    }
    if jobs:
        yield from check_tracking(tracking_uri)
    yield from to_executor(section).check(ExecutorWants(jobs, tracking_uri))


def _wants_of_job(job: JobSection) -> JobWants:
    return JobWants(job.command, job.cwd, job.cpus, job.gpus, job.memory, job.timeout)


def _check_promises(config: Config, now: datetime) -> Iterator[Check]:
    """Say of each pipeline how often it would be told something that is not so, as often as it runs."""
    for name, section in config.pipeline.items():
        a_day = _runs_a_day(config, name, now)
        if a_day:
            preset = section.policies.preset
            gap = between_false_tickets(preset, a_day)
            said = (
                f'preset "{preset}" and about {how_often(a_day)}: expect one false ticket in '
                f"{in_round(gap)} or more, for each metric that is judged without a smallest effect"
            )
            yield Check(f"false tickets of {name}", ok=True, said=said)


def _runs_a_day(config: Config, pipeline: str, now: datetime) -> float:
    """Return how often a pipeline's job runs by its schedule, else how many runs came of late; 0 where neither says."""
    section = config.pipeline[pipeline]
    schedule = section.schedule if section.job is not None else None  # one that watches only looks at these times
    timetable = schedule.timetable(config.zone_of(pipeline)) if schedule is not None else None
    if timetable is not None:
        return len(timetable.between(now, now + _LATELY)) / _LATELY.days
    with suppress(StateError), _state_of(config) as tx:
        if tx is not None:
            return runs.count_since(tx, pipeline, now - _LATELY) / _LATELY.days
    return 0.0


def _wants(config: Config, tracker: str) -> TicketWants:
    """Gather what the pipelines of a tracker set on its tickets."""
    ours = [pipeline for pipeline in config.pipeline.values() if pipeline.tracker == tracker]
    return TicketWants(
        labels=_distinct(label for each in ours for label in each.tickets.labels),
        priorities=_distinct(each.tickets.priority for each in ours),
        components=_distinct(component for each in ours for component in each.tickets.components),
        assignees=_distinct(each.assignee for each in ours),
    )


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
