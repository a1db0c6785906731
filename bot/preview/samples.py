"""Views as a real week of a search team would bring them, in both languages; long, since it has one of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from bot.domain.commands import COMMANDS, Problem, usage_of
from bot.domain.diagnosis.pieces import Unlisted
from bot.domain.digest import DigestHeading
from bot.domain.incidents import Kind
from bot.domain.judge.findings import Method, Outcome, Reason
from bot.domain.objects import Bound, ObjectKey, ObjectKind
from bot.domain.rerun_answers import Cause
from bot.domain.rerun_troubles import TroubleKind
from bot.domain.rules import RuleKind
from bot.domain.views import (
    AnswerKind,
    AnswerPart,
    AnswerView,
    ArchivePageView,
    CauseKind,
    CauseView,
    ChartMark,
    ChartMarkKind,
    ChartPart,
    ChartView,
    ChartWeek,
    CommandRow,
    CommentKind,
    CommentView,
    CutRow,
    DiagnosisView,
    DigestKind,
    DigestLine,
    DigestPart,
    DigestView,
    EndedEarly,
    Evidence,
    ExampleRow,
    ExamplesView,
    ExplainedRow,
    ExplanationView,
    FactRow,
    HistoryRow,
    LedgerView,
    LegendView,
    MessageView,
    MetricRow,
    NewsView,
    OpenIncidentRow,
    OwnerRow,
    PairsView,
    PeerRow,
    PieceRow,
    PieceTrialRow,
    PipelinePageView,
    ProgressView,
    RerunsView,
    RuleRow,
    RunPageView,
    RunView,
    SeriesView,
    Source,
    StretchesView,
    TicketView,
    Tone,
    TrialRow,
    TroubleRow,
    UmbrellaOverView,
    UmbrellaRow,
    UmbrellaView,
    VerdictView,
    WithinView,
    WorstRow,
)
from bot.errors import NoInquiry
from bot.text.locales import Locale

MARKER = "herald-demo-3f9c2a71b04e-0-1"
MLFLOW = "http://mlflow.example/#/experiments/1/runs/"
BOUND = {
    "ticket": Bound("SEARCH-12", "https://jira.example/browse/SEARCH-12", "SEARCH-12"),
    "report": Bound("Next purchase, run 5 (b04e77aa)", "https://wiki.example/wiki/spaces/ML/pages/77", "77"),
    "previous": Bound("Next purchase, run 4 (9d1f0c35)", "https://wiki.example/wiki/spaces/ML/pages/76", "76"),
    "pipeline": Bound("Next purchase", "https://wiki.example/wiki/spaces/ML/pages/70", "70"),
}


@dataclass(frozen=True)
class Words:
    """What the views of one language bring along: the team's own names, and how numbers are written."""

    pipeline: str
    quality: str
    hits: str
    recall: str
    why: str
    owner: str
    description: str
    to: str
    pct: str
    days: str
    when: tuple[str, ...]


WORDS: dict[Locale, Words] = {
    Locale("en"): Words(
        "Next purchase",
        "Ranking quality",
        "Hit rate",
        "Recall in the first 50",
        "One point of it is worth about 40 baskets a day.",
        "Search team",
        "What a household will buy on its next trip: trained nightly, judged against its accepted runs.",
        " to ",
        "\u00a0%",
        "2\u00a0d 3\u00a0h",
        tuple(f"{day} Nov 2026, 04:30" for day in range(16, 25)),
    ),
    Locale("zh"): Words(
        "下一单预测",
        "排序质量",
        "命中率",
        "前 50 召回率",
        "每个百分点约合每天 40 单。",
        "搜索组",
        "预测每个家庭下一次购物会买什么：每晚训练，并与已采纳的运行比较。",
        " 至 ",
        "%",
        "2 天 3 小时",
        tuple(f"2026年11月{day}日 04:30" for day in range(16, 25)),
    ),
}


def key(kind: ObjectKind, name: str) -> ObjectKey:
    return ObjectKey({"ticket": "jira", "page": "wiki", "message": "slack"}[kind], kind, name)


TICKET_LINKS = {"report": key(ObjectKind.PAGE, "Next purchase, run 5 (b04e77aa)")}
MESSAGE_LINKS = {"ticket": key(ObjectKind.TICKET, MARKER), **TICKET_LINKS}
PAGE_LINKS = {
    "previous": key(ObjectKind.PAGE, "Next purchase, run 4 (9d1f0c35)"),
    "pipeline": key(ObjectKind.PAGE, "Next purchase"),
}


def run(number: int, words: Words) -> RunView:
    run_id = f"{number:x}b04e77aa5cc04f0d9be2"
    return RunView(
        f"next-purchase-{number}", run_id, MLFLOW + run_id, words.when[number], str(40 + number), "31\u00a0s"
    )


def metric_rows(words: Words, outcome: Outcome = Outcome.REGRESSED) -> tuple[MetricRow, ...]:
    reason = {
        Outcome.REGRESSED: Reason.CONFIRMED,
        Outcome.SUSPICIOUS: Reason.BEYOND_SPREAD,
        Outcome.OK: Reason.WITHIN_SPREAD,
    }.get(outcome, Reason.WITHIN_SPREAD)
    pct, to = words.pct, words.to
    return (
        MetricRow("ndcg_at_10", words.quality, outcome, reason, "0.146", "0.171", "−0.0252", f"−14.8{pct}", f"−0.0310{to}−0.0194", "0.0019", "0.0042", why=words.why),
        MetricRow("hit_rate_at_10", words.hits, outcome, reason, "0.088", "0.103", "−0.0151", f"−14.6{pct}", f"−0.0192{to}−0.0109", "0.0014", "0.0031"),
        MetricRow("recall_at_50", words.recall, Outcome.OK, Reason.WITHIN_SPREAD, "0.309", "0.312", "−0.0030", f"−1.0{pct}", f"−0.0101{to}+0.0041", "0.0034", "0.0075"),
        MetricRow("ms_per_query", "ms_per_query", None, None, "1.94", "1.91", "+0.0300", f"+1.6{pct}", "", "", ""),
    )  # fmt: skip


def slice_rows(words: Words) -> tuple[MetricRow, ...]:
    pct, to = words.pct, words.to
    return (
        MetricRow("ndcg_at_10", words.quality, Outcome.REGRESSED, Reason.CONFIRMED, "0.139", "0.166", "−0.0270", f"−16.3{pct}", f"−0.0341{to}−0.0199", "0.0023", "0.0051", "department = GROCERY", f"76{pct}", "1,873"),
        MetricRow("ndcg_at_10", words.quality, Outcome.REGRESSED, Reason.CONFIRMED, "0.094", "0.121", "−0.0270", f"−22.3{pct}", f"−0.0450{to}−0.0090", "0.0061", "0.0134", "department = MEAT", f"9{pct}", "612"),
    )  # fmt: skip


def verdict(words: Words, outcome: Outcome = Outcome.REGRESSED, kind: Kind | None = Kind.REGRESSED) -> VerdictView:
    rows = metric_rows(words, outcome)
    slices = slice_rows(words)[:1] if outcome is Outcome.REGRESSED else ()
    return VerdictView(
        outcome,
        kind,
        words.pipeline,
        rows[0],
        (words.hits,),
        slices,
        "3",
        "2",
        reruns=RerunsView(Cause.SHOWN, ("0.145",)),
    )


FACTS = (
    FactRow("distinct_texts", "1,939", "2,885", changed=True),
    FactRow("snapshot", "2026-11-20", "2026-11-19", changed=True),
    FactRow("catalogue_size", "2,889", "2,889", changed=False),
)
DIFFERENT = (
    FactRow("", "9f2c41d07b3e", "51aa90c2e8d4", changed=True, source=Source.DATA),
    *FACTS[:2],
    FactRow("", "c0ffee01c0ff", "0ddba11e0ddb", changed=True, source=Source.COMMIT, url="https://git.example/shop/diff/0/c"),
    FactRow("torch", "torch 2.9.0", "torch 2.8.1", changed=True, source=Source.ENVIRONMENT, changes="3"),
    FactRow("train.lr", "3e-4", "1e-4", changed=True, source=Source.PARAMS, had="1"),
)  # fmt: skip
PARAMS = (
    FactRow("learning_rate", "2e-4", "2e-4", changed=False),
    FactRow("seed", "45", "", changed=True),
)
LOG = 'Traceback (most recent call last):\n  File "train.py", line 88, in <module>\n    fit(job)\nMemoryError: {code} 3|4\n'


def chart() -> ChartView:
    good, bad = Outcome.OK, Outcome.REGRESSED
    dates = tuple(f"2026-11-{day} 04:30" for day in range(17, 22))
    marks = ChartMark(1, ChartMarkKind.RELEASED), ChartMark(3, ChartMarkKind.OPENED), ChartMark(3, ChartMarkKind.DATA)
    quality = ChartView(
        "ndcg_at_10",
        ("1", "2", "3", "4", "5"),
        (0.1702, 0.1723, 0.1709, 0.1451, 0.1460),
        (Outcome.NO_BASELINE, good, good, Outcome.SUSPICIOUS, bad),
        0.1711,
        0.0038,
        "history-1f6a2b3c.png",
        dates=dates,
        since=3,
        marks=marks,
        parts=(
            ChartPart("department = GROCERY", 0.76, 0.166, 0.139),
            ChartPart("department = MEAT", 0.09, 0.121, 0.094),
        ),
    )
    hits = replace(
        quality,
        metric="hit_rate_at_10",
        values=(0.102, 0.103, 0.104, 0.087, 0.088),
        baseline=0.103,
        band=0.0028,
        parts=(),
    )
    return replace(quality, also=(hits,))


def pipeline_chart() -> ChartView:
    return replace(chart(), filename="history.png", parts=())


def legend(words: Words) -> LegendView:
    signs = ChartMarkKind.OPENED, ChartMarkKind.RELEASED, ChartMarkKind.DATA
    return LegendView((words.quality, words.hits), signs, True, False, ("department = GROCERY", "department = MEAT"))


def ticket(words: Words) -> TicketView:
    return TicketView(
        verdict(words), run(5, words), run(4, words), metric_rows(words), slice_rows(words), DIFFERENT, words.owner,
        MARKER, "history-1f6a2b3c.png", unknown=(Source.TEST_SET, Source.MACHINE), listens=True, links=TICKET_LINKS,
        legend=legend(words),
    )  # fmt: skip


def umbrella(words: Words) -> UmbrellaView:
    failed = VerdictView(Outcome.FAILED, Kind.FAILED, words.pipeline, None, (), (), "3", "1", exit_code="137")
    rows = UmbrellaRow(verdict(words), "ticket"), UmbrellaRow(failed, "other")
    links = {"ticket": MESSAGE_LINKS["ticket"], "other": key(ObjectKind.TICKET, f"{MARKER}2")}
    return UmbrellaView(words.pipeline, "2", rows, words.owner, MARKER, listens=True, links=links)


def umbrella_over(_words: Words) -> UmbrellaOverView:
    return UmbrellaOverView("herald-u1", resolves=False)


def rerun_ticket(words: Words, cause: Cause = Cause.CHANGE, baseline: tuple[str, ...] = ("0.170",)) -> TicketView:
    view = replace(verdict(words), reruns=RerunsView(cause, ("0.145", "0.147"), baseline))
    return replace(ticket(words), verdict=view)


def breached_row(words: Words, outcome: Outcome = Outcome.BREACHED) -> MetricRow:
    plain = {"en": "Latency (95 %)"}.get(_locale(words), "延迟（95 分位）")
    nbsp = "\u00a0"
    return MetricRow("latency_p95", plain, outcome, Reason.ABOVE_LIMIT, f"143.2{nbsp}ms", f"110.4{nbsp}ms", "+32.8", f"+29.7{words.pct}", "", "", "", limit=f"120{nbsp}ms")  # fmt: skip


def breached_ticket(words: Words) -> TicketView:
    row = breached_row(words)
    view = VerdictView(Outcome.BREACHED, Kind.BREACHED, words.pipeline, row, (), (), "3", "2")
    return replace(ticket(words), verdict=view, rows=(row, *metric_rows(words)[2:]), slices=())


def outside_message(words: Words) -> MessageView:
    row = breached_row(words, Outcome.OUTSIDE)
    view = VerdictView(Outcome.OUTSIDE, Kind.BREACHED, words.pipeline, row, (), (), "3", "1")
    return replace(message(words), tone=Tone.WATCH, verdict=view, rows=(row,))


def kept_to_again(words: Words) -> CommentView:
    row = replace(
        breached_row(words),
        outcome=Outcome.OK,
        reason=Reason.WITHIN_LIMITS,
        value="112.0\u00a0ms",
        change="+1.6",
        relative=f"+1.4{words.pct}",
    )
    view = VerdictView(Outcome.OK, Kind.BREACHED, words.pipeline, row, (), (), "3", "2")
    return replace(recovery(words), verdict=view, rows=(row,))


def decayed_rows(words: Words) -> tuple[MetricRow, ...]:
    first, *others = metric_rows(words)
    return (replace(first, reason=Reason.BEYOND_SPREAD, is_release=True), *others[2:])


def decayed_ticket(words: Words) -> TicketView:
    rows = decayed_rows(words)
    view = replace(verdict(words), headline=rows[0], also=(), slices=(), reruns=None)
    return replace(ticket(words), verdict=view, rows=rows, slices=(), release=run(1, words))


def decayed_message(words: Words) -> MessageView:
    return replace(message(words), verdict=decayed_ticket(words).verdict, rows=decayed_rows(words)[:1])


def invalid_verdict(words: Words) -> VerdictView:
    fact = MetricRow("data.distinct_texts", {"en": "Distinct texts"}.get(_locale(words), "不同文本数"), Outcome.INVALID, Reason.DATA_CHANGED, "1,939", "2,885", "−946", f"−32.8{words.pct}", "", "", "")  # fmt: skip
    return VerdictView(Outcome.INVALID, Kind.INVALID, words.pipeline, fact, (), (), "3", "1")


def invalid_ticket(words: Words) -> TicketView:
    view = invalid_verdict(words)
    assert view.headline
    rows = (
        view.headline,
        *(replace(row, outcome=Outcome.INVALID, reason=Reason.DATA_CHANGED) for row in metric_rows(words)[:2]),
    )
    return TicketView(view, run(4, words), run(4, words), rows, (), FACTS[:1], words.owner, MARKER, links=TICKET_LINKS)


def failed_ticket(words: Words) -> TicketView:
    view = VerdictView(Outcome.FAILED, Kind.FAILED, words.pipeline, None, (), (), "3", "1", exit_code="1")
    return TicketView(view, run(4, words), run(4, words), (), (), (), words.owner, MARKER, log_tail=LOG)


def stale_ticket(words: Words) -> TicketView:
    view = VerdictView(Outcome.STALE, Kind.STALE, words.pipeline, None, (), (), "3", "0")
    return TicketView(view, run(3, words), run(3, words), (), (), (), "", MARKER)


def away_ticket(words: Words) -> TicketView:
    view = VerdictView(
        Outcome.AWAY,
        Kind.AWAY,
        words.pipeline,
        None,
        (),
        (),
        "3",
        "0",
        cluster="lab",
        since=words.when[2],
        waiting=(words.pipeline, "ranking"),
        said="Ray at https://ray.example.com refuses who asks (401): check its token",
    )
    return TicketView(view, run(3, words), run(3, words), (), (), (), words.owner, MARKER)


def away_over(words: Words) -> CommentView:
    over = VerdictView(Outcome.OK, Kind.AWAY, words.pipeline, None, (), (), "3", "0", cluster="lab")
    return CommentView(CommentKind.RECOVERY, over, run(3, words), (), "herald-c7", duration=words.days)


def repeat(words: Words) -> CommentView:
    worst = metric_rows(words)[:1]
    news = NewsView("2", (metric_rows(words)[1].plain,), (WorstRow(worst[0].plain, worst[0].value, "0.148"),))
    return CommentView(CommentKind.REPEAT, replace(verdict(words), bad_runs="4"), run(6, words), metric_rows(words)[:2], "herald-c6", links=TICKET_LINKS, news=news)  # fmt: skip


def recovered_rows(words: Words) -> tuple[MetricRow, ...]:
    pct, to = words.pct, words.to
    row = metric_rows(words)[0]
    return (replace(row, outcome=Outcome.OK, reason=Reason.WITHIN_SPREAD, value="0.172", change="+0.0008", relative=f"+0.5{pct}", interval=f"−0.0049{to}+0.0065"),)  # fmt: skip


def recovered_verdict(words: Words) -> VerdictView:
    return VerdictView(Outcome.OK, Kind.REGRESSED, words.pipeline, recovered_rows(words)[0], (), (), "3", "0")


def recovery(words: Words) -> CommentView:
    return CommentView(CommentKind.RECOVERY, recovered_verdict(words), run(7, words), recovered_rows(words), "herald-c7", words.days, TICKET_LINKS)  # fmt: skip


def withdrawn(words: Words) -> CommentView:
    return replace(recovery(words), kind=CommentKind.WITHDRAWN, duration="")


def confirmed(words: Words) -> CommentView:
    return replace(recovery(words), kind=CommentKind.CONFIRMED)


def reopened(words: Words) -> CommentView:
    return replace(repeat(words), kind=CommentKind.REOPENED)


def said_again(words: Words) -> CommentView:
    return replace(repeat(words), kind=CommentKind.SAID_AGAIN)


def run_page(words: Words, outcome: Outcome = Outcome.REGRESSED) -> RunPageView:
    marked = MARKER if outcome is Outcome.REGRESSED else ""
    slices = slice_rows(words) if outcome is Outcome.REGRESSED else ()
    return RunPageView(
        f"{words.pipeline} 2026-11-21 (b04e77aa)", verdict(words, outcome), run(5, words), metric_rows(words, outcome), slices, PARAMS,
        FACTS, chart(), marked, ("herald", "regression"), run(4, words), PAGE_LINKS,
        (PeerRow("popularity", ("0.117", "0.072")), PeerRow("", ("0.146", "0.088"))), ("HR", "nDCG"), run(1, words),
        different=DIFFERENT if outcome is Outcome.REGRESSED else (), unknown=(Source.TEST_SET, Source.MACHINE), legend=legend(words),
    )  # fmt: skip


def examples(words: Words) -> ExamplesView:
    berries = {"en": "strawberry jam"}.get(_locale(words), "草莓酱")
    rows = ExampleRow("user002", "0.900", "0.100", "−0.800", (berries,)), ExampleRow("user417", "0.631", "0.000", "−0.631", ("cream | 30 %",))  # fmt: skip
    explained = (ExplainedRow(berries, "*Oat* | bar", "jam, bar", "integrated gradients", "1.046", "0.473"), ExplainedRow("cream", "soap", "", "", "0.000", "0.000"))  # fmt: skip
    return ExamplesView(
        "GROCERY / berries", ("query",), rows, "312", "4,000", "312", "worst-examples-0a1b2c3d.csv", explained
    )


def ticket_with_examples(words: Words) -> TicketView:
    return replace(ticket(words), examples=examples(words))


def reminder(words: Words) -> CommentView:
    return replace(repeat(words), kind=CommentKind.REMINDER, duration=words.days, asked="Ana")


def returned(words: Words) -> CommentView:
    return replace(repeat(words), kind=CommentKind.RETURNED, examples=examples(words))


def result(words: Words) -> CommentView:
    return replace(recovery(words), kind=CommentKind.RESULT, duration="", params=PARAMS)


def ledger(words: Words) -> LedgerView:
    ended = replace(rule(words, RuleKind.ACCEPTED), undone_by="Ana", undone=_day(words, 29))
    return LedgerView("Herald", "demo", (rule(words), rule(words, RuleKind.MUTE)), (ended,))


def judged_series(words: Words) -> SeriesView:
    pct, to = words.pct, words.to
    return SeriesView(
        verdict(words), "next-purchase-4", f"−0.0310{to}−0.0194 (−18.1{pct}{to}−11.3{pct})", f"0.0042 (2.5{pct})"
    )


def judged_stretches(words: Words) -> StretchesView:
    cut = CutRow("next-purchase-4", "0.171", "0.146", "−0.0252", f"−14.8{words.pct}", f"−0.0310{words.to}−0.0194")
    return StretchesView("ndcg_at_10", "24", "0.146", (cut,), f"0.0042 (2.5{words.pct})")


def judged_pairs(words: Words) -> PairsView:
    return PairsView(Outcome.REGRESSED, metric_rows(words)[0], ("department = GROCERY",), "12")


def archive_page(words: Words) -> ArchivePageView:
    return ArchivePageView(f"{words.pipeline} 2026", words.pipeline, "2026", {"pipeline": PAGE_LINKS["pipeline"]})


def pipeline_page(words: Words) -> PipelinePageView:
    history = tuple(
        HistoryRow(run(number, words), outcome, values, f"{words.pipeline} ({number}b04e77a)" if number > 3 else "")
        for number, outcome, values in (
            (5, Outcome.REGRESSED, ("0.146", "0.088")),
            (4, Outcome.SUSPICIOUS, ("0.145", "0.087")),
            (3, Outcome.OK, ("0.171", "0.104")),
            (2, Outcome.INSUFFICIENT_DATA, ("0.172", "0.103")),
            (1, Outcome.NO_BASELINE, ("0.170", "0.102")),
        )
    )
    return PipelinePageView(
        words.pipeline, words.pipeline, words.description, words.owner, (words.quality, words.hits), history,
        (OpenIncidentRow(verdict(words), words.when[4], words.owner, MARKER),), quiet=(rule(words),),
        chart="history.png", legend=replace(legend(words), parts=()),
    )  # fmt: skip


def message(words: Words) -> MessageView:
    return MessageView(Tone.BAD, verdict(words), run(5, words), run(4, words), metric_rows(words)[:2], words.owner, "m1", links=MESSAGE_LINKS, chart=chart())  # fmt: skip


def suspicious_message(words: Words) -> MessageView:
    return MessageView(Tone.WATCH, verdict(words, Outcome.SUSPICIOUS), run(4, words), run(4, words), metric_rows(words, Outcome.SUSPICIOUS)[:2], words.owner, "m2")  # fmt: skip


def recovered_message(words: Words) -> MessageView:
    return MessageView(Tone.GOOD, recovered_verdict(words), run(7, words), run(4, words), recovered_rows(words), words.owner, "m3", words.days, MESSAGE_LINKS)  # fmt: skip


def withdrawn_message(words: Words) -> MessageView:
    return replace(recovered_message(words), duration="", is_withdrawn=True)


def failed_message(words: Words) -> MessageView:
    return MessageView(Tone.BAD, failed_ticket(words).verdict, run(4, words), run(4, words), (), words.owner, "m4", links=MESSAGE_LINKS)  # fmt: skip


def _day(words: Words, day: int) -> str:
    return f"{day} Nov" if _locale(words) == "en" else f"11月{day}日"


def _digest(words: Words, parts: tuple[DigestPart, ...], *, is_quiet: bool = False) -> DigestView:
    return DigestView(
        title="Digest",
        tone=Tone.BAD,
        since=_day(words, 17),
        until=_day(words, 24),
        is_quiet=is_quiet,
        runs="21",
        pipelines="3",
        parts=parts,
        mark="herald-digest-20261124",
        links={"ticket": key(ObjectKind.TICKET, MARKER), "other": key(ObjectKind.TICKET, MARKER + "0")},
    )


def health() -> ChartView:
    counts = ((2, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (2, 1, 0), (3, 0, 0), (2, 0, 1), (0, 1, 2))
    ends = ("10-06", "10-13", "10-20", "10-27", "11-03", "11-10", "11-17", "11-24")
    weeks = tuple(ChartWeek(end, *each) for end, each in zip(ends, counts, strict=True))
    return ChartView("", (), (), (), weeks=weeks, filename="history-77aa01b2c3d4.png")


def digest(words: Words) -> DigestView:
    """Return what a usual bad week brings."""
    quality, hits, recall, _ = metric_rows(words)
    better = replace(recall, value="0.322", change="+0.0100", relative=f"+3.2{words.pct}")
    line = partial(DigestLine, pipeline=words.pipeline, owner=words.owner)
    fell = line(
        DigestKind.STANDING,
        incident=Kind.REGRESSED,
        row=quality,
        also=(words.hits,),
        why=words.why,
        is_new=True,
        when=_day(words, 20),
        ticket="ticket",
        explained=ExplanationView(cause(CauseKind.ALONE, 0), day=_day(words, 20)),
    )
    failing = line(DigestKind.STANDING, incident=Kind.FAILED, when=_day(words, 11), owner="", ticket="other")
    due = line(DigestKind.DUE, when="Wed 25 Nov, 03:00" if _locale(words) == "en" else "11月25日（周三）03:00")
    bad_week = _digest(
        words,
        (
            DigestPart(DigestHeading.NEEDS_YOU, (fell, failing)),
            DigestPart(DigestHeading.BETTER, (line(DigestKind.IMPROVED, row=better),)),
            DigestPart(DigestHeading.WATCHING, (line(DigestKind.SUSPECTED, incident=Kind.REGRESSED, row=hits),), "2"),
            DigestPart(DigestHeading.NEXT, (due,)),
        ),
    )
    return replace(bad_week, progress=ProgressView("2", "1", "2", "1"), health=health())


def quiet_digest(words: Words) -> DigestView:
    return _digest(words, digest(words).parts[-1:], is_quiet=True)


def digest_of_all_kinds(words: Words) -> DigestView:
    """Return every sentence that a digest can hold, more than fit into one."""
    row = metric_rows(words)[0]
    line = partial(DigestLine, pipeline=words.pipeline, when=_day(words, 20), duration=words.days, ticket="ticket")
    trouble = [DigestLine(kind, count=n) for kind in (DigestKind.UNDELIVERED, DigestKind.UNSURE) for n in ("1", "3")]
    waiting = (DigestKind.REFUSED, DigestKind.MISSING)
    trouble += [DigestLine(kind, service="jira", when=_day(words, 20), count=n) for kind in waiting for n in ("1", "3")]
    kinds = (DigestKind.STANDING, DigestKind.RECOVERED, DigestKind.IMPROVED, DigestKind.SUSPECTED, DigestKind.DISMISSED)
    said = [
        replace(line(kind, incident=incident, row=shown), ticket="ticket" if kind in kinds[:2] else "")
        for kind in kinds
        for incident in Kind
        if incident is not Kind.AWAY  # which is told beside what ails Herald itself
        for shown in ((row, None) if incident is Kind.REGRESSED else (None,))
        if kind in kinds[:2] or incident is Kind.REGRESSED or (kind, incident) == (DigestKind.SUSPECTED, Kind.INVALID)
    ]
    return _digest(words, (DigestPart(DigestHeading.NEEDS_YOU, (*trouble, *said), "1"),))


def digest_of_own_troubles(words: Words) -> DigestView:
    """Return what a digest says of Herald itself."""
    down = [DigestLine(DigestKind.DOWN, service="jira", when=_day(words, 20), count=n) for n in ("1", "3")]
    other = DigestLine(DigestKind.CONFIG, service="herald-2", said=words.pipeline)
    late = [DigestLine(DigestKind.LATE, words.pipeline, when=_day(words, 20), count=n) for n in ("", "1", "3")]
    away = partial(DigestLine, pipeline=words.pipeline, incident=Kind.AWAY, cluster="lab", ticket="ticket")
    gone = (
        away(DigestKind.STANDING, when=_day(words, 20), owner=words.owner),
        away(DigestKind.RECOVERED, duration=words.days),
    )
    lines = (*down, *late, DigestLine(DigestKind.CLOCK, duration=words.days), other, *gone)
    return _digest(words, (DigestPart(DigestHeading.NEEDS_YOU, lines),))


def digest_of_explanations(words: Words) -> DigestView:
    """Return what a digest says of each cause, and of each kind of piece."""
    fell = DigestLine(DigestKind.STANDING, words.pipeline, Kind.REGRESSED, metric_rows(words)[0], when=_day(words, 20))
    lines = tuple(replace(fell, explained=each) for each in _explanations(words))
    return _digest(words, (DigestPart(DigestHeading.NEEDS_YOU, lines),))


def _explanations(words: Words) -> Iterator[ExplanationView]:
    kinds = {CauseKind.ALONE: (0,), CauseKind.TOGETHER: (0, 1), CauseKind.IN_PART: (0, 1)}
    yield from (ExplanationView(cause(kind, *kinds.get(kind, ())), day=_day(words, 20)) for kind in CauseKind)
    yield ExplanationView(cause(CauseKind.ALONE, 1), day=_day(words, 20))
    days = ("3 Mar 2026", "4 Mar 2026") if _locale(words) == "en" else ("2026年3月3日", "2026年3月4日")
    third, fourth = map(PieceRow, days)
    yield ExplanationView(cause(CauseKind.ALONE, 0), third)
    yield ExplanationView(cause(CauseKind.ALONE, 0), third, fourth, "2")
    yield ExplanationView(cause(CauseKind.LUCK), was_large=True)
    yield ExplanationView(cause(CauseKind.TOGETHER, 0, 1), owners=("Ana [QA]", "Li"))
    yield ExplanationView(cause(CauseKind.OUTSIDE), left_out=(FactRow("", "", "", True, Source.MACHINE),))
    code = CauseView(CauseKind.ALONE, (FactRow("", "b", "a", changed=True, source=Source.COMMIT),), "", "97 %")
    yield ExplanationView(
        code, PieceRow("c0ffee01c0ff", "Drop *empty* rows", "Ana", _day(words, 19), "https://git.example/c")
    )
    first, last = PieceRow("c0ffee01c0ff", "Drop rows", "Ana"), PieceRow("0ddba11e0ddb", "Say so", "Li")
    yield from (ExplanationView(code, first, last, left) for left in ("2", "3"))


def digest_of_withdrawn(words: Words) -> DigestView:
    """Return what a digest says of incidents that never were for certain."""
    line = partial(DigestLine, DigestKind.WITHDRAWN, words.pipeline, ticket="ticket")
    told = (line(incident=Kind.REGRESSED, row=metric_rows(words)[0]), line(incident=Kind.BREACHED))
    return _digest(words, (DigestPart(DigestHeading.WATCHING, told),))


def rule(words: Words, kind: RuleKind = RuleKind.NOISE) -> RuleRow:
    """Return what somebody said a week ago."""
    of_grocery = "department = GROCERY"
    row = RuleRow(
        "14",
        kind,
        words.pipeline,
        (words.recall, f"{words.quality} ({of_grocery})"),
        "Wei Zhang",
        _day(words, 28),
        reason="its seeds differ" if _locale(words) == "en" else "随机种子不同",
    )
    until = "28 Dec" if _locale(words) == "en" else "12月28日"
    match kind:
        case RuleKind.NOISE | RuleKind.MUTE:
            return replace(row, days="30", until=until)
        case RuleKind.ACCEPTED:
            return replace(row, about=(), until=until)
        case RuleKind.EXPECTED:
            return replace(row, from_run="next-purchase-5")
        case RuleKind.DUPLICATE:
            return replace(row, joins="SEARCH-9", reason="")
        case RuleKind.FIXED:
            return replace(row, reason="")


def answered(*parts: AnswerPart) -> AnswerView:
    return AnswerView(parts, "Wei Zhang", "herald-a7")


def noise_answer(words: Words) -> AnswerView:
    return answered(AnswerPart(AnswerKind.RULE, rule(words), undo="/herald undo 14"))


def why_answer(words: Words) -> AnswerView:
    first, second, _, _ = metric_rows(words)
    grocery = slice_rows(words)[0]
    evidence = (
        Evidence(first, Method.LEVELS, "3", "1,024"),
        Evidence(second, Method.PREDICTIVE_T, "3"),
        Evidence(replace(grocery, plain=f"{grocery.plain} ({grocery.part})"), Method.PREDICTIVE_AND_PAIRED_T, "3"),
    )
    part = AnswerPart(AnswerKind.WHY, verdict=verdict(words), evidence=evidence, run=run(5, words), onset=run(4, words))
    return answered(part)


def help_answer(_words: Words) -> AnswerView:
    return answered(AnswerPart(AnswerKind.HELP, commands=tuple(CommandRow(c.name, usage_of(c)) for c in COMMANDS)))


def cause(kind: CauseKind, *places: int, share: str = "", probability: str = "97 %") -> CauseView:
    return CauseView(kind, tuple(SWAPPED[place] for place in places), share, probability)


SWAPPED = (
    FactRow("", "9f2c41d07b3e", "51aa90c2e8d4", changed=True, source=Source.DATA),
    FactRow("train.lr", "3e-4", "1e-4", changed=True, source=Source.PARAMS),
)
FELL_OVER = TroubleRow(TroubleKind.FAILED, "ValueError: *no* | rows", "3")
TRIALS = (TrialRow((True, False), "0.146"), TrialRow((False, True), "0.171"), TrialRow((False, False), "", FELL_OVER))


def withins(words: Words) -> tuple[WithinView, ...]:
    """Show how far pieces of what did it are told apart."""
    title, day = "Drop *empty* rows | all of them", _day(words, 27)
    commit = PieceRow("c0ffee01c0ff", title, "Ana [QA] Chen", day, "https://git.example/shop/commit/c0ffee")
    known = WithinView(Source.COMMIT, None, "12", "1", commit, commit, "97 %")
    march, february = ("3 Mar 2026", "1 Feb 2026") if _locale(words) == "en" else ("2026年3月3日", "2026年2月1日")
    part, gone = PieceRow(march), PieceRow(february, is_gone=True)
    reruns = (PieceTrialRow("c0ffee01c0ff", "0.146"), PieceTrialRow("0ddba11e0ddb", "", FELL_OVER))
    return (
        replace(known, trials=reruns),
        replace(known, count="1"),
        replace(known, left="3", last=PieceRow("0ddba11e0ddb", "Say so", "Li", day)),
        replace(known, left="12"),
        replace(known, source=Source.DATA, count="3", first=part, last=part),
        replace(known, source=Source.DATA, count="3", first=gone, last=gone),
        replace(known, source=Source.DATA, count="3", left="2", first=gone, last=part),
        *(WithinView(Source.COMMIT, why) for why in Unlisted),
    )


def diagnosed_answer(words: Words) -> AnswerView:
    """Show a diagnosis for each kind of cause, and one that is not sure."""
    alone, together = cause(CauseKind.ALONE, 0), cause(CauseKind.TOGETHER, 0, 1)
    causes = (
        alone,
        together,
        cause(CauseKind.IN_PART, 0, 1, share="72 %"),
        cause(CauseKind.LUCK),
        cause(CauseKind.OUTSIDE),
    )
    others = (replace(together, probability="2 %"), cause(CauseKind.OUTSIDE, probability="1 %"))
    machine = FactRow("", "", "", changed=True, source=Source.MACHINE)
    gone = TroubleRow(TroubleKind.NO_COMMIT, "fatal: Not a valid object name c0ffee01c0ff", as_now="c0ffee02c0ff")
    commit = FactRow("", "", "", changed=True, source=Source.COMMIT, trouble=gone)
    every = tuple(TrialRow((True, False), "", TroubleRow(kind)) for kind in TroubleKind)
    whole = DiagnosisView(words.quality, "0.171", "0.146", SWAPPED, TRIALS, alone, True, others, (machine,), "3")
    bare = replace(whole, trials=(), not_excluded=(), left_out=())
    changed = FactRow("", "c0ffee01c0ff", "0ddba11e0ddb", changed=True, source=Source.COMMIT)
    code = CauseView(CauseKind.ALONE, (changed,), "", "97 %")
    mended = TroubleRow(TroubleKind.RAN_OTHER, "43f2a92", source=Source.COMMIT, wanted="339da1f")
    other = TroubleRow(TroubleKind.RAN_OTHER, "1", name="train.lr", wanted="2")
    owners = (OwnerRow("Ana [QA] Chen", "accountid:5b10ac"), OwnerRow("*Data* team"))
    views = (
        replace(whole, owners=owners),
        *(replace(whole, likeliest=each, trials=(), not_excluded=(), left_out=()) for each in causes[1:]),
        replace(whole, likeliest=replace(alone, probability="61 %"), is_sure=False, trials=TRIALS[:1], reruns="1"),
        replace(whole, likeliest=causes[-2], trials=(), not_excluded=(), left_out=(), was_large=True),
        replace(whole, likeliest=causes[-1], trials=(), not_excluded=()),
        replace(whole, likeliest=causes[-1], trials=(), not_excluded=(), has_all_as_was=True),
        replace(whole, likeliest=causes[-1], trials=(), not_excluded=(), left_out=(), has_all_as_was=True),
        replace(whole, trials=(), not_excluded=(), left_out=(), share="20 %"),
        replace(whole, is_sure=False, trials=TRIALS[2:], all_failed=True, failed="2", last_trouble=FELL_OVER),
        replace(whole, is_sure=False, trials=TRIALS[2:], all_failed=True, failed="1", last_trouble=FELL_OVER),
        replace(whole, is_sure=False, trials=(), reruns="1", failed="2", last_trouble=mended),
        replace(whole, is_sure=False, trials=(), reruns="0", failed="1", last_trouble=other, is_even=True),
        replace(whole, is_sure=False, trials=TRIALS[:1], reruns="1", ended_early=EndedEarly.BY_HAND),
        replace(whole, is_sure=False, trials=(), reruns="0", ended_early=EndedEarly.BY_HAND),
        replace(whole, is_sure=False, trials=(), reruns="0", ended_early=EndedEarly.BY_HAND, is_under_way=True),
        replace(whole, is_sure=False, trials=TRIALS[:2], reruns="2", ended_early=EndedEarly.OUT_OF_TIME),
        replace(whole, trials=(), other_test_set=True),
        replace(whole, trials=every, not_excluded=(), left_out=(machine, commit), before_over="10", since_over="2"),
        *(
            replace(bare, likeliest=code if within.source is Source.COMMIT else alone, within=within)
            for within in withins(words)
        ),
    )
    return answered(*(AnswerPart(AnswerKind.DIAGNOSED, diagnosis=view) for view in views))


def answer_of_all_kinds(words: Words) -> AnswerView:
    """Return every sentence that a reply can hold."""
    commands = help_answer(words).parts[0].commands
    said = [AnswerPart(AnswerKind.RULE, rule(words, kind), "/herald undo 14", runs="3") for kind in RuleKind]
    closed = AnswerPart(AnswerKind.RULE, rule(words, RuleKind.FIXED), "/herald undo 14", closed_as="Done")
    undone = replace(rule(words), undone_by="Ana", undone=_day(words, 29))
    unreadable = [
        AnswerPart(
            AnswerKind.UNREADABLE,
            said="/herald snooze 3d",
            problem=problem,
            nearest="" if problem is Problem.TOO_MANY else "/herald mute 14d REASON",
            bounds=f"1 h{words.to}400 d",
            longest="400 d",
            most="20",
        )
        for problem in Problem
    ]
    return answered(
        *said,
        closed,
        AnswerPart(AnswerKind.UNDONE, undone),
        AnswerPart(AnswerKind.NO_RULE, said="99"),
        *why_answer(words).parts,
        AnswerPart(AnswerKind.RULES, rules=(rule(words), rule(words, RuleKind.ACCEPTED))),
        AnswerPart(AnswerKind.RULES),
        *(AnswerPart(kind, said=words.pipeline) for kind in (AnswerKind.RERUN, AnswerKind.NO_JOB)),
        *(AnswerPart(kind, said="Wei Zhang") for kind in (AnswerKind.ASSIGNED, AnswerKind.CANNOT_ASSIGN)),
        *unreadable,
        AnswerPart(AnswerKind.STRANGER),
        AnswerPart(AnswerKind.UNMAPPED, closed_as="Won't Do", commands=commands[:5]),
        AnswerPart(AnswerKind.OVER),
        AnswerPart(AnswerKind.LOOP),
        AnswerPart(AnswerKind.PAST),
        AnswerPart(AnswerKind.FULL),
        *diagnosed_answer(words).parts[:1],
        AnswerPart(AnswerKind.ASKED, said=words.pipeline),
        *(AnswerPart(AnswerKind.CANNOT_ASK, said=reason) for reason in NoInquiry),
    )


def _locale(words: Words) -> str:
    return next(name for name, each in WORDS.items() if each is words)
