"""Runs, incidents and effects as they lie in Herald's state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.effects import (
    CommentTicket,
    Effect,
    LabelPage,
    LinkTicket,
    OpenTicket,
    ResolveTicket,
    TellChannel,
)
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind
from bot.domain.runs import DataCard, Run, RunStatus
from bot.domain.views import (
    CommentKind,
    CommentView,
    LabelsView,
    LinkView,
    MessageView,
    MetricRow,
    RunView,
    TicketView,
    Tone,
    VerdictView,
    View,
)
from bot.store import outbox
from bot.store.objects import KnownObject

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SERIES = SeriesKey("search")
INCIDENT = "0123456789ab"
TICKET = ObjectKey("jira", ObjectKind.TICKET, str(Marker("test", INCIDENT)))
MESSAGE = ObjectKey("slack", ObjectKind.MESSAGE, f"C1 test-{INCIDENT}")
PAGE = ObjectKey("confluence", ObjectKind.PAGE, "Search: run 1 (run1)")


def run_at(run_id: str, ended: datetime = NOON, **metrics: float) -> Run:
    return Run(run_id, run_id, RunStatus.FINISHED, ended - MINUTE, ended, metrics)


def judged(run: Run, outcome: Outcome = Outcome.OK, series: SeriesKey = SERIES, **changes) -> JudgedRun:
    finding = Finding("ndcg", outcome, Reason.WITHIN_SPREAD)
    accepted = outcome.is_acceptable
    return replace(JudgedRun(run, series, DataCard(), (finding,), outcome, accepted, False, run.ended), **changes)


def incident(**changes) -> Incident:
    opened = Incident(INCIDENT, Kind.REGRESSED, SERIES, IncidentState.OPEN, "run1", NOON)
    return replace(opened, **changes)


VERDICT = VerdictView(
    outcome=Outcome.REGRESSED,
    kind=Kind.REGRESSED,
    pipeline="Search",
    headline=MetricRow("ndcg", "Ranking quality", Outcome.REGRESSED, Reason.CONFIRMED, "0.60", "0.80", "−0.20", "−25 %", "", "0.01", "0.02"),
    also=(),
    slices=(),
    baseline_runs="3",
    bad_runs="2",
)  # fmt: skip
RUN_VIEW = RunView("run 5", "run5", "https://mlflow.example/run5", "24 Nov 2026, 12:00")


def ticket_view(**links: ObjectKey) -> TicketView:
    return TicketView(VERDICT, RUN_VIEW, RUN_VIEW, (VERDICT.headline,), (), (), "Search team", TICKET.name, links=links)


def comment_view(mark: str) -> CommentView:
    return CommentView(CommentKind.REPEAT, VERDICT, RUN_VIEW, (VERDICT.headline,), mark)


def message_view(**links: ObjectKey) -> MessageView:
    return MessageView(
        Tone.BAD, VERDICT, RUN_VIEW, RUN_VIEW, (VERDICT.headline,), "Search team", f"test-{INCIDENT}", links=links
    )


def open_ticket(**links: ObjectKey) -> tuple[Effect, View]:
    return OpenTicket(TICKET, "opened", INCIDENT), ticket_view(**links)


def comment(cause: str) -> tuple[Effect, View]:
    return CommentTicket(TICKET, cause, INCIDENT), comment_view(f"mark-{cause}")


def resolve(cause: str) -> tuple[Effect, View | None]:
    return ResolveTicket(TICKET, cause, INCIDENT), None


def link(cause: str = "run5") -> tuple[Effect, View]:
    return LinkTicket(TICKET, cause, INCIDENT, needs=(TICKET, PAGE)), LinkView({"report": PAGE})


def label(cause: str = "run5") -> tuple[Effect, View]:
    return LabelPage(PAGE, cause, needs=(PAGE,)), LabelsView(("herald", TICKET.name))


def tell(cause: str, **links: ObjectKey) -> tuple[Effect, View]:
    return TellChannel(MESSAGE, cause, INCIDENT), message_view(**links)


def known(key: ObjectKey, external_id: str, place: str = "") -> KnownObject:
    return KnownObject(key, Bound(external_id, f"https://service.example/{external_id}", external_id), place, NOON)


def owe(database, *effects: tuple[Effect, View | None], now: datetime = NOON) -> None:
    with database.begin() as tx:
        outbox.owe(tx, "search", effects, now)


def owed_kinds(database) -> list[str]:
    with database.begin() as tx:
        return [owed.effect.kind for owed in outbox.outstanding(tx)]


def outstanding(database):
    with database.begin() as tx:
        return outbox.outstanding(tx)
