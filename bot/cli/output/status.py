"""What `herald status` prints: pipelines, open incidents, how much is owed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.reports.jobs_at_work import JobAtWork
    from bot.reports.overview import OpenIncident, Overview, PipelineOverview, WaitingRerun
    from bot.store.leadership import Leadership

from bot.cli.output.diagnose import trouble_as_json
from bot.cli.output.runs import (
    print_set_aside,
    print_unjudged,
    print_unread,
    run_as_json,
    set_aside_as_json,
    unjudged_as_json,
)
from bot.cli.output.sparklines import sparkline
from bot.cli.output.terminal import coloured, print_json, when
from bot.cli.output.triage import print_unheard
from bot.reports.rerun_troubles import say_trouble

_STAGES = {
    "ahead": "is due at",
    "due": "waits for its turn since",
    "queued": "waits there since",
    "running": "runs since",
    "away": "cannot be asked about since",
}


def print_status(seen: Overview, *, as_json: bool) -> None:
    """Print pipelines, open incidents, and how much is owed."""
    if as_json:
        print_json(
            {
                "pipelines": [_pipeline_as_json(pipeline) for pipeline in seen.pipelines],
                "owed": seen.owed,
                "parked": seen.parked,
                "refused": [asdict(refusal) for refusal in seen.refused],
                "quiet": seen.quiet,
                "leader": _leader_as_json(seen),
                "other_configurations": [
                    {"herald": each.herald, "differs_in": list(each.parts)} for each in seen.differing
                ],
                "reruns": [_rerun_as_json(each) for each in seen.reruns],
                "failed_reruns": [
                    {
                        **_rerun_as_json(each),
                        "ended": each.fire.ended_at,
                        "trouble": None if each.trouble is None else trouble_as_json(each.trouble),
                    }
                    for each in seen.failed
                ],
                "jobs": [_job_as_json(job) for job in seen.jobs],
                "answers_not_read": [
                    {"service": each.service, "since": each.failing_since, "said": each.said} for each in seen.unheard
                ],
            }
        )
        return
    console = WholeConsole()
    table = Stacking("pipeline", "last run", "ended", "finding", "newest runs", "next", "open incidents")
    for pipeline in seen.pipelines:
        last = pipeline.last
        table.add_row(
            escape(pipeline.name),
            escape(last.run.name) if last else "none yet",
            when(last.run.ended if last else None),
            coloured(last.outcome) if last else "",
            _history(pipeline),
            when(pipeline.next_due) or (f"after {escape(pipeline.after)}" if pipeline.after else "by hand"),
            escape(_standing(pipeline)),
        )
    table.print(console)
    for pipeline in seen.pipelines:
        if pipeline.last is not None:
            print_unread(console, [pipeline.last])
        print_set_aside(console, pipeline.set_aside)
        _print_blind_spots(console, pipeline)
    console.print(f"owed: {seen.owed:,}, parked: {seen.parked:,}")
    if seen.leadership is not None:
        console.print("\n".join(_leader(seen.leadership, seen)))
    for refusal in seen.refused:
        where = " ".join(part for part in (refusal.service, refusal.channel) if part)
        what = ": what config names is missing there" if refusal.is_missing else " refuses our account"
        told = f"since {when(refusal.since)}; {refusal.waiting:,} wait for it, and go on by themselves"
        console.print(f"[red]{escape(where)}[/]{what} {told}: {escape(refusal.words)}")
    print_unheard(console, seen.unheard)
    for job in seen.jobs:
        console.print(escape(_job(job)))
    for each in seen.reruns:
        console.print(escape(_rerun(each)))
    for each in seen.failed:
        console.print(escape(_failed(each)))
    if seen.quiet:
        console.print(f"quiet by people's answers: {seen.quiet:,}; `herald triage` lists them")
    if any(pipeline.count > len(pipeline.incidents) for pipeline in seen.pipelines):
        console.print("--all names every open incident, --json too.")


def _leader(found: Leadership, seen: Overview) -> Iterable[str]:
    """Yield who leads, and the Heralds that are configured otherwise, as rich's markup."""
    if not seen.is_led:
        yield "leads: nobody; no `herald serve` is at work"
        return
    ahead = found.clock_ahead.total_seconds()
    clock = f"; its clock is off by {abs(ahead):,.0f} s" if found.is_clock_off else ""
    yield escape(f"leads: {found.holder} since {when(found.since)}, epoch {found.epoch:,}{clock}")
    for each in seen.differing:
        told = f"{each.herald} has another configuration than the one that leads: {each.said}"
        yield f"[red]{escape(told)}[/]"


def _leader_as_json(seen: Overview) -> dict[str, Any] | None:
    if seen.leadership is None or not seen.is_led:
        return None
    found = seen.leadership
    return {
        "holder": found.holder,
        "epoch": found.epoch,
        "since": found.since,
        "until": found.until,
        "clock_ahead_seconds": found.clock_ahead.total_seconds(),
    }


def _job_as_json(job: JobAtWork) -> dict[str, Any]:
    return {
        "pipeline": job.fire.pipeline,
        "fire": job.fire.fire_id,
        "executor": job.executor,
        "standing": job.stage,
        "since": job.since,
        "said": job.said,
        "place": job.place,
        "name": job.name,
        "url": job.url,
    }


def _job(job: JobAtWork) -> str:
    """Say how a job stands, and where people see it."""
    said = f": {job.said}" if job.said else ""
    seen = " ".join(each for each in (job.place, job.name if not job.url else "", job.url) if each)
    line = f"job of {job.fire.pipeline} on {job.executor}: {_STAGES[job.stage]} {when(job.since)}{said}"
    return f"{line} ({seen})" if seen else line


def _rerun_as_json(rerun: WaitingRerun) -> dict[str, Any]:
    fire = rerun.fire
    return {
        "pipeline": fire.pipeline,
        "run": None if rerun.incident_id else fire.confirms,
        "recipe": fire.recipe.name,
        "incident": rerun.incident_id or None,
        "swapped": rerun.swapped,
        "started": fire.started_at,
    }


def _swapped(rerun: WaitingRerun) -> str:
    """Say how a rerun has each component, a parameter by the name that tickets have of it."""
    return ", ".join(f"{name.removeprefix('param.')} {how}" for name, how in rerun.swapped.items())


def _failed(rerun: WaitingRerun) -> str:
    """Say which rerun of a diagnosis came to nothing, and why."""
    fire = rerun.fire
    swapped = _swapped(rerun)
    what = f"rerun of a diagnosis: {fire.pipeline} {rerun.incident_id}, {swapped}"
    return f"{what}, failed {when(fire.ended_at)}: {say_trouble(rerun.trouble)}"


def _rerun(rerun: WaitingRerun) -> str:
    """Say what is made again, and why: to confirm a run, or to find out what made an incident."""
    fire = rerun.fire
    since = f"since {when(fire.started_at)}" if fire.started_at else "next"
    if rerun.incident_id:
        swapped = _swapped(rerun)
        return f"rerun of a diagnosis: {fire.pipeline} {rerun.incident_id}, {swapped}, {since}"
    recipe = f" by the {fire.recipe.name} recipe" if fire.recipe.name else ""
    return f"made again{recipe}: {fire.pipeline} {fire.confirms or ''}, {since}"


def _history(pipeline: PipelineOverview) -> str:
    """Draw the main metric over the newest runs, and name it."""
    return f"{sparkline(pipeline.values)} {escape(pipeline.metric)}" if pipeline.values else ""


def _standing(pipeline: PipelineOverview) -> str:
    """Name the pipeline's open incidents, the latest first, and say how many there are besides."""
    told = [
        f"{i.incident.kind} {i.ticket.title if i.ticket else i.incident.state}" for i in reversed(pipeline.incidents)
    ]
    more = pipeline.count - len(told)
    if more > 0:
        told.append(f"and {more:,} more" if told else f"{more:,}")
    return ", ".join(told) or "none"


def _print_blind_spots(console: Console, pipeline: PipelineOverview) -> None:
    """Say of a pipeline what could not be looked at, and what cannot be judged: neither is the same as all quiet."""
    name, look = escape(pipeline.name), pipeline.look
    if pipeline.unreadable is not None:
        lost = f"{name}: a newer run, {escape(pipeline.unreadable.run_id)} of {when(pipeline.unreadable.ended)}"
        console.print(f"[red]cannot read:[/] {lost}, is damaged or was stored by another version of Herald")
    if look is not None and look.unseen_since is not None:
        console.print(f"[red]could not look:[/] {name} since {when(look.unseen_since)}: {escape(look.said)}")
    print_unjudged(console, pipeline.name, pipeline.unjudged)


def incident_as_json(told: OpenIncident) -> dict[str, Any]:
    return {
        "id": told.incident.incident_id,
        "kind": told.incident.kind,
        "state": told.incident.state,
        "metrics": told.incident.metrics,
        "opened_at": told.incident.opened_at,
        "ticket": told.ticket.title if told.ticket else None,
        "url": told.ticket.url if told.ticket else None,
    }


def _pipeline_as_json(pipeline: PipelineOverview) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "last": run_as_json(pipeline.last) if pipeline.last else None,
        "unreadable_run": pipeline.unreadable.run_id if pipeline.unreadable else None,
        "metric": pipeline.metric,
        "values": pipeline.values,
        "next_due": pipeline.next_due,
        "seen_at": pipeline.look.seen_at if pipeline.look else None,
        "could_not_look": None
        if pipeline.look is None or pipeline.look.unseen_since is None
        else {"since": pipeline.look.unseen_since, "said": pipeline.look.said},
        "cannot_judge": [each.finding.metric for each in pipeline.unjudged],
        "unjudged": [unjudged_as_json(each) for each in pipeline.unjudged],
        "after": pipeline.after,
        "open_incidents": pipeline.count,
        "set_aside": [set_aside_as_json(each) for each in pipeline.set_aside],
        "incidents": [incident_as_json(told) for told in pipeline.incidents],
    }
