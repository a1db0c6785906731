"""What `herald replay` prints, and the page it writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from bot.cli.output.terminal import print_json
from bot.config.models import Config
from bot.domain.backtest.figures import Catch, Filing, Rate, Share, by_week
from bot.domain.replay_views import CatchRow, ReplayPageView, ReplayView
from bot.errors import HeraldError
from bot.render.renderer import Renderer
from bot.replay.replaying import Replayed
from bot.replay.views import ReplayWording, setting_name
from bot.replay.writing import Written
from bot.text import formats
from bot.text.locales import Locale
from bot.text.tables import Stacking, WholeConsole

_TICKETS_SHOWN = 20


def write_page(path: Path, replayed: Replayed, config: Config, locale: Locale, now: datetime) -> None:
    """Write the page of what was replayed; raises HeraldError where it cannot be written."""
    renderer = Renderer(locale)
    views = tuple(ReplayWording(each, config, locale, renderer).view for each in replayed.done)
    made = formats.moment(now, config.zone_of(replayed.done[0].pipeline), locale)
    page = renderer.render_replay(ReplayPageView(str(locale), made, views, replayed.aside))
    try:
        path.write_text(page + "\n", encoding="utf-8")
    except OSError as error:
        raise HeraldError(f"{path}: cannot be written: {error.strerror}") from None


def print_replay(replayed: Replayed, config: Config, locale: Locale, *, as_json: bool) -> None:
    renderer = Renderer(locale)
    wordings = [ReplayWording(each, config, locale, renderer) for each in replayed.done]
    if as_json:
        print_json({**_as_json(wordings), "set_aside": replayed.aside})
        return
    console = WholeConsole()
    for wording in wordings:
        _print_one(console, wording.view, renderer)
    for why in replayed.aside:
        console.print(escape(why))


def print_written(path: Path, written: Sequence[Written], *, as_json: bool) -> None:
    """Say which keys of the configuration have changed; beside JSON on standard error."""
    console = WholeConsole(stderr=as_json)
    if not written:
        console.print(f"{escape(str(path))} has these settings already.")
    for each in written:
        before = f" (it was {escape(each.before)})" if each.before else ""
        console.print(f"{escape(str(path))}: {escape(each.key)} = {escape(each.now)}{before}")


def _print_one(console: WholeConsole, view: ReplayView, renderer: Renderer) -> None:
    console.print(f"[bold]{escape(view.pipeline)}[/]")
    for line in renderer.render_replay_lines(view).splitlines():
        console.print(escape(line))
    if view.tickets:
        table = Stacking("ticket", "what it says")
        for ticket in view.tickets[:_TICKETS_SHOWN]:
            lasted = "open still" if ticket.is_open else f"closed after {ticket.lasted}"
            table.add_row(escape(f"{ticket.filed}, {lasted}"), escape(ticket.sentence))
        table.print(console)
        if len(view.tickets) > _TICKETS_SHOWN:
            console.print(f"and {len(view.tickets) - _TICKETS_SHOWN:,} more: --json or --html has them all")
    if view.catches:
        _print_catches(console, view.catches, renderer)
    if view.false:
        table = Stacking("metric", "false tickets", "in months", "a month", "95 % interval")
        for row in view.false:
            name = escape(row.metric) if row.metric else "any"
            table.add_row(name, row.tickets, row.months, row.a_month, row.interval)
        table.print(console)
    if view.tried:
        table = Stacking("setting", "tickets", "false a month", "95 % interval", "drops caught", "")
        for tried in view.tried:
            mark = "chosen" if tried.is_chosen else ""
            table.add_row(escape(tried.setting), tried.tickets, tried.a_month, tried.interval, tried.caught, mark)
        table.print(console)


def _print_catches(console: WholeConsole, rows: Sequence[CatchRow], renderer: Renderer) -> None:
    table = Stacking("planted drop", "spreads", "places", "got a ticket", "95 % interval", "digest", "runs until")
    for row in rows:
        shape = renderer.word(f"drop_{row.shape}")
        table.add_row(shape, row.size, row.places, row.ticket, row.interval, row.digest, row.after)
    table.print(console)


def _as_json(wordings: Sequence[ReplayWording]) -> dict[str, Any]:
    done = [(wording.rehearsal.pipeline, wording) for wording in wordings]
    return {
        "pipelines": [_pipeline(wording) for _, wording in done],
        "tickets": [
            {"pipeline": name, **_ticket(each, wording)} for name, wording in done for each in wording.rehearsal.tickets
        ],
        "digest_only": [
            {
                "pipeline": name,
                "when": passed.judged.judged_at,
                "series": passed.before.series.series,
                "run_id": passed.run.run_id,
                "metrics": step.incident.metrics,
                "sentence": wording.sentence_about(passed, step),
            }
            for name, wording in done
            for passed, step in wording.rehearsal.digest
        ],
        "planted": [{"pipeline": name, **_catch(each)} for name, wording in done for each in wording.rehearsal.catches],
        "missed": [{"pipeline": name, **_missed(each)} for name, wording in done for each in wording.rehearsal.catches],
        "false_alarms": [
            {"pipeline": name, "metric": metric or None, **_rate(rate)}
            for name, wording in done
            for metric, rate in wording.rehearsal.false.items()
            if wording.rehearsal.histories
        ],
        "sweep": [
            {
                "pipeline": name,
                "setting": setting_name(each.variant),
                "tickets": each.tickets,
                "false_alarms": _rate(each.false),
                "caught": each.caught if each.catches else None,
                "chosen": each is wording.rehearsal.chosen,
            }
            for name, wording in done
            for each in wording.rehearsal.tried
        ],
    }


def _pipeline(wording: ReplayWording) -> dict[str, Any]:
    seen = wording.rehearsal
    weeks = by_week(seen.tickets, seen.since, seen.until)
    return {
        "pipeline": seen.pipeline,
        "since": seen.since,
        "until": seen.until,
        "runs": len(seen.seen),
        "tickets": len(seen.tickets),
        "tickets_by_week": [{"week": monday, "tickets": count} for monday, count in weeks],
        "digest_only": len(seen.digest),
        "improved": seen.improved,
        "days": seen.days,
        "quiet_days": seen.quiet_days,
        "healthy_histories": seen.histories,
        "unjudged_metrics": seen.unjudged,
        "too_short_metrics": seen.too_short,
        "smallest_told_in_spreads": seen.smallest_told,
        "slices": seen.slices.standing,
        "smallest_told_of_slices_in_spreads": seen.slices.least,
    }


def _ticket(filing: Filing, wording: ReplayWording) -> dict[str, Any]:
    incident = filing.incident
    ended = filing.closed or wording.rehearsal.until
    return {
        "kind": incident.kind,
        "series": incident.series.series,
        "metrics": incident.metrics,
        "filed": filing.filed,
        "closed": filing.closed,
        "days": round((ended - filing.filed).total_seconds() / 86400, 3),
        "onset": incident.onset,
        "by": filing.by.run.run_id if filing.by is not None else None,
        "comments": filing.comments,
        "sentence": wording.sentence_of(filing),
    }


def _catch(each: Catch) -> dict[str, Any]:
    return {
        "metric": each.metric or None,
        "shape": each.shape,
        "spreads": each.size,
        "places": each.ticket.of,
        "ticket": _share(each.ticket),
        "digest": _share(each.digest),
        "runs_until_ticket": each.after,
    }


def _missed(each: Catch) -> dict[str, Any]:
    missed = Share(each.ticket.of - each.ticket.count - each.digest.count, each.ticket.of)
    return {"metric": each.metric or None, "shape": each.shape, "spreads": each.size, **_share(missed)}


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"count": share.count, "of": share.of, "share": share.value, "low": low, "high": high}


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {"tickets": rate.count, "months": rate.months, "a_month": rate.a_month, "low": low, "high": high}
