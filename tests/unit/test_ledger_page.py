"""The page that says what Herald is quiet about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.config.metric import MetricSection
from bot.domain.effects import UpdateLedger
from bot.domain.incidents import SeriesKey
from bot.domain.objects import Bound, ObjectKey, ObjectKind
from bot.domain.rules import Medium, Person, Rule, RuleKind, SaidAt, Scope
from bot.domain.views import LedgerView
from bot.judging.titles import ledger_page_title
from bot.judging.views.answer import RuleNaming
from bot.render.renderer import Renderer
from bot.text.locales import Locale
from tests.unit.delivery_bench import Bench
from tests.unit.state_samples import TICKET

MADE = datetime(2026, 11, 24, 12, tzinfo=UTC)
WEI = Person("712020:wei", "Wei")


def rule(**changes) -> Rule:
    scope = Scope(SeriesKey("search"), ("recall_at_10 [department=GROCERY]", "mrr"), "abc")
    said = SaidAt(Medium.COMMENT, "jira", "m", "7")
    made = {"until": MADE + timedelta(days=30), "reason": "<b>seeds</b> differ", **changes}
    return Rule(14, RuleKind.NOISE, scope, WEI, said, MADE, **made)


def naming(locale: str) -> RuleNaming:
    metrics = {"recall_at_10": MetricSection(name={Locale("en"): "Hits", Locale("zh"): "命中率"})}
    return RuleNaming("Search", metrics, Locale(locale), ZoneInfo("UTC"))


def ledger(locale: str, *, quiet=(), ended=()) -> LedgerView:
    named = naming(locale)
    rows = [tuple(named.row(each, "t14") for each in some) for some in (quiet, ended)]
    return LedgerView(ledger_page_title("demo", Locale(locale)), "demo", *rows, links={"t14": TICKET})


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", ["Noise", "Hits for department GROCERY and mrr", "Wei, 24 Nov", "24 Dec", "REC-12", "/herald undo N"]),
        (
            "zh",
            ["噪声", "命中率（department 为 GROCERY 的分组）", "Wei，11月24日", "12月24日", "REC-12", "/herald undo N"],
        ),
    ],
)
def test_the_page_says_what_is_quiet_who_said_so_why_and_until_when(locale, said):
    bound = {"t14": Bound("REC-12", "https://jira.example/browse/REC-12", "REC-12")}
    text = Renderer(Locale(locale)).render_ledger(ledger(locale, quiet=[rule()]), bound)
    assert [words for words in said if words not in text] == []
    assert "&lt;b&gt;seeds" in text


@pytest.mark.parametrize(
    ("kind", "lasts", "days", "until"),
    [
        (RuleKind.NOISE, timedelta(days=30), "30", "24 Dec"),
        (RuleKind.NOISE, timedelta(days=30, microseconds=-80), "30", "24 Dec"),
        (RuleKind.NOISE, timedelta(days=4, hours=6), "", "28 Nov"),
        (RuleKind.MUTE, timedelta(hours=12), "", "25 Nov 2026, 00:00"),
        (RuleKind.MUTE, timedelta(days=365), "365", "24 Nov 2027"),
        (RuleKind.ACCEPTED, datetime(2027, 2, 1, tzinfo=UTC) - MADE, "", "31 Jan"),  # to the end of that day
    ],
)
def test_a_rule_says_when_it_lapses_as_people_would(kind, lasts, days, until):
    row = naming("en").row(replace(rule(until=MADE + lasts), kind=kind))
    assert (row.days, row.until) == (days, until)


def test_the_page_keeps_what_was_taken_back_and_what_lapsed():
    undone = rule(undone_at=MADE + timedelta(days=2), undone_by=Person("dana"))
    text = Renderer(Locale("en")).render_ledger(ledger("en", ended=[undone, rule()]), {})
    assert "Nothing: Herald tells everything that it finds." in text
    assert "taken back by dana, 26 Nov" in text
    assert "lapsed 24 Dec" in text


def test_the_page_is_one_and_is_edited_in_place(database):
    bench = Bench(database)
    for number, view in enumerate([ledger("en"), ledger("en", quiet=[rule()])]):
        page = ObjectKey("confluence", ObjectKind.PAGE, view.title)
        bench.owe((UpdateLedger(page, f"rule/{number}"), view))
        bench.drain()
    (written,) = bench.wiki.pages.values()
    assert written.draft.title == "What Herald is quiet about (demo)"
    assert "Noise" in written.storage
