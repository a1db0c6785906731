"""Every fixed sentence is said where its evidence is on record, and nowhere else; one sentence tells one pair of numbers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.metric import MetricSection
from bot.config.pipeline import PipelineSection
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn
from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.judge.paired import Pairs
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places
from bot.domain.runs import Baseline, DataCard, Run, RunResult, RunStatus, Slice, Where
from bot.domain.views import Source
from bot.judging.titles import page_title, pipeline_page_title
from bot.judging.views.metric_rows import metric_row
from bot.judging.views.occasion import Occasion
from bot.judging.views.ticket import ticket_view
from bot.preview import samples
from bot.render.renderer import Renderer
from bot.reports.judge_sentences import sentences_in
from tests.unit.text_forms import JIRA, SLACK

LOCALES = ("en", "zh")
RENDERERS = {locale: Renderer(locale) for locale in LOCALES}
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def shown(view: Any, locale: str) -> str:
    """Return the ticket and the message that a view's verdict makes, as people read them."""
    renderer = RENDERERS[locale]
    told = replace(samples.message(samples.WORDS[locale]), verdict=view.verdict, rows=view.rows[:2])
    return renderer.render_ticket(JIRA, view, {}).body + "\n" + str(renderer.render_message(SLACK, told, {}))


@dataclass(frozen=True)
class Said:
    """A fixed sentence, a ticket that gives it its evidence, and what takes that evidence away."""

    en: str
    zh: str
    ticket: Callable[[Any], Any]
    without: Callable[[Any], Any]


def _verdict(**changes: Any) -> Callable[[Any], Any]:
    return lambda view: replace(view, verdict=replace(view.verdict, **changes))


def _headline(**changes: Any) -> Callable[[Any], Any]:
    return lambda view: replace(view, verdict=replace(view.verdict, headline=replace(view.verdict.headline, **changes)))


def _missing(words: Any) -> Any:
    view = samples.invalid_ticket(words)
    return _headline(reason=Reason.MISSING, plain=words.quality, value="", baseline="", change="", relative="")(view)


def _not_a_number(words: Any) -> Any:
    return _headline(reason=Reason.NOT_A_NUMBER)(_missing(words))


def _bare(words: Any) -> Any:
    return _verdict(slices=())(replace(samples.ticket(words), facts=(), slices=()))


def _compared(*sources: Source) -> Callable[[Any], Any]:
    return lambda words: replace(_bare(words), compared=sources)


def _averaged(words: Any) -> Any:
    return _headline(now="0.152", over="3")(samples.ticket(words))


def _silent(words: Any) -> Any:
    return _verdict(silent_for="3 d", cadence="1 d")(samples.stale_ticket(words))


EVIDENCE = (
    Said("usually differ by", "通常相差", samples.ticket, _headline(spread="")),
    Said("on average over the last 3 runs", "最近 3 次运行的平均值", _averaged, _headline(now="", over="")),
    Said("A rerun with another seed shows the same", "更换随机种子重跑", samples.ticket, _verdict(reruns=None)),
    Said("runs in a row show it", "已连续 2 次运行如此", lambda w: _verdict(reruns=None)(samples.ticket(w)), _verdict(bad_runs="1")),
    Said("got worse with it", "同时变差", samples.ticket, _verdict(also=())),
    Said("Most of the loss", "变差主要集中在", samples.ticket, _verdict(slices=())),
    Said("the parts that lost most", "变差最多的分组。", samples.ticket, lambda v: replace(v, slices=())),
    Said("Start with what is different", "先看与基线有哪些不同", samples.ticket, lambda v: replace(v, facts=())),
    Said("nothing on record says it", "没有记录可查。", _bare, lambda v: replace(v, facts=samples.FACTS[:1])),
    Said("no difference from the baseline in the parameters.", "参数与基线一致", _compared(Source.PARAMS), lambda v: replace(v, compared=())),
    Said("no difference from the baseline in the data card.", "数据卡与基线一致", _compared(Source.CARD), lambda v: replace(v, compared=(Source.PARAMS,))),
    Said("no difference from the baseline in the commit.", "代码版本与基线一致", _compared(Source.COMMIT), lambda v: replace(v, compared=())),
    Said("no difference from the baseline in the test set and the commit.", "测试集和代码版本与基线一致", _compared(Source.TEST_SET, Source.COMMIT), lambda v: replace(v, compared=(Source.COMMIT,))),
    Said("it may differ too: the test set and the machine.", "也可能不同：测试集和机器。", samples.ticket, lambda v: replace(v, unknown=())),
    Said("on another test set than before, so the two numbers cannot be compared.", "但测试集已与之前不同，两个数值不能直接比较。", lambda w: _verdict(other_test_set=True)(samples.ticket(w)), _verdict(other_test_set=False)),
    Said("(changed 3 times before without harm)", "（此前变过 3 次，均无影响）", samples.ticket, lambda v: replace(v, facts=samples.FACTS[:2])),
    Said("(so it was in 1 good run too)", "（有 1 次正常运行也是如此）", samples.ticket, lambda v: replace(v, facts=samples.FACTS[:2])),
    Said("have nothing in common to compare", "没有记录可以比较", _bare, lambda v: replace(v, compared=(Source.CARD,))),
    Said("The data behind this run is not what it was", "所用的数据变了", samples.invalid_ticket, _headline(reason=Reason.MISSING)),
    Said("is missing from this run", "没有记录", _missing, _headline(reason=Reason.NOT_A_NUMBER)),
    Said("is not a number in this run", "不是有效数值", _not_a_number, _headline(reason=Reason.MISSING)),
    Said("Neither can", "也无法判定", lambda w: _verdict(also=(w.hits,))(_missing(w)), _verdict(also=())),
    Said("what changed in the data or the evaluation", "数据或评估方式有什么变化", samples.invalid_ticket, _headline(reason=Reason.MISSING)),
    Said("Start with the end of the log", "先看日志末尾", samples.failed_ticket, lambda v: replace(v, log_tail="")),
    Said("failed with exit code", "退出码", samples.failed_ticket, _verdict(exit_code="")),
    Said("Nothing has come for", "没有新的运行", _silent, _verdict(silent_for="")),
    Said("(release)", "（已发布版本）", samples.decayed_ticket, lambda v: replace(v, rows=())),
)  # fmt: skip


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("said", EVIDENCE, ids=[said.en for said in EVIDENCE])
def test_a_sentence_stands_with_its_evidence_and_falls_with_it(said: Said, locale: str):
    sentence = said.en if locale == "en" else said.zh
    ticket = said.ticket(samples.WORDS[locale])
    assert sentence in shown(ticket, locale)
    assert sentence not in shown(said.without(ticket), locale)


@settings(deadline=None)  # the first text loads every template
@given(
    baseline=st.floats(0.05, 900),
    share=st.floats(0.03, 0.6),
    lone=st.floats(-0.2, 0.2),
    runs=st.integers(1, 9),
    rises=st.booleans(),
)
def test_a_sentence_tells_one_pair_of_numbers_and_their_difference(baseline, share, lone, runs, rises):
    change = baseline * share * (1 if rises else -1)
    value = baseline + change * (1 + lone) if runs > 1 else baseline + change
    finding = Finding(
        "ndcg", Outcome.REGRESSED, Reason.LEVEL_FELL, value=value, baseline=baseline, change=change, n_since=runs
    )
    row = metric_row(finding, MetricSection(), "en")
    view = replace(samples.ticket(samples.WORDS["en"]), rows=(row,), slices=())
    view = replace(view, verdict=replace(view.verdict, headline=row, also=(), slices=()))
    text = shown(view, "en").replace("\N{NO-BREAK SPACE}", " ")
    told = re.search(r"(?:fell|rose) by ([\d.]+) %, from (\d[\d,]*(?:\.\d+)?) to (\d[\d,]*(?:\.\d+)?)", text)
    assert told is not None
    percent, before, after = (float(number.replace(",", "")) for number in told.groups())
    assert abs(after - before) / before == pytest.approx(percent / 100, abs=0.004)


def run(number: int, **changes: Any) -> Run:
    at = NOON + timedelta(days=number)
    return replace(Run(f"run{number}", f"night {number}", RunStatus.FINISHED, at, at, {"ndcg": 0.4}), **changes)


def occasion(now: RunResult, before: RunResult | None, *findings: Finding) -> Occasion:
    series = SeriesKey("search")
    history = [JudgedRun(now.run, series, now.card, findings, findings[0].outcome, False, False, NOON)]
    return Occasion(
        title="Search",
        config=PipelineSection.model_validate({"experiment": "e", "metrics": {"ndcg": {}, "mrr": {}}}),
        locale="en",
        channel_locale="en",
        zone=ZoneInfo("UTC"),
        places=Places("demo", "Search", "Search 2026", tracker="jira"),
        result=now,
        assessment=Assessment(now.run_id, findings, SeriesState()),
        baseline=Baseline(() if before is None else (before,)),
        history=history,
        steps=(),
        standing=(),
        now=NOON,
    )


def ticket_of(on: Occasion) -> Any:
    kind = Kind.INVALID if on.assessment.outcome is Outcome.INVALID else Kind.REGRESSED
    incident = Incident("i", kind, SeriesKey("search"), IncidentState.OPEN, on.result.run_id, NOON)
    return ticket_view(on, Step(incident, Turn.FILED))


FELL = Finding("ndcg", Outcome.REGRESSED, Reason.CONFIRMED, value=0.3, baseline=0.4, change=-0.1, spread=0.01)


def test_a_commit_that_changed_is_named_as_a_difference():
    old, new = "a" * 40, "b" * 40
    view = ticket_of(
        occasion(RunResult(run(2, tags={COMMIT_TAG: new})), RunResult(run(1, tags={COMMIT_TAG: old})), FELL)
    )
    assert [(fact.before, fact.value) for fact in view.facts] == [("a" * 12, "b" * 12)]
    assert view.compared == (Source.COMMIT,)


def test_commits_are_linked_where_config_says_where_the_code_is():
    old, new = "a" * 40, "b" * 40
    on = occasion(RunResult(run(2, tags={COMMIT_TAG: new})), RunResult(run(1, tags={COMMIT_TAG: old})), FELL)
    (fact,) = ticket_of(
        replace(on, config=on.config.model_copy(update={"repository": "https://git.example/shop/"}))
    ).facts
    assert fact.url == f"https://git.example/shop/compare/{old}...{new}"
    assert ticket_of(on).facts[0].url == ""


def test_of_an_environment_the_versions_that_changed_are_shown():
    tags = {"herald.environment": "python 3.11.9, torch 2.8.1, numpy 2.1.0"}
    newer = {"herald.environment": "python 3.11.9, torch 2.9.0, polars 1.2"}
    view = ticket_of(occasion(RunResult(run(2, tags=newer)), RunResult(run(1, tags=tags)), FELL))
    assert [(fact.before, fact.value) for fact in view.facts] == [
        ("torch 2.8.1", "torch 2.9.0"),
        ("numpy 2.1.0", ""),
        ("", "polars 1.2"),
    ]


def test_packages_that_nobody_lists_differ_by_the_hash_of_all():
    tags = {"herald.environment": "python 3.11.9", "herald.lock_hash": "a" * 64}
    newer = {"herald.environment": "python 3.11.9", "herald.lock_hash": "b" * 64}
    view = ticket_of(occasion(RunResult(run(2, tags=newer)), RunResult(run(1, tags=tags)), FELL))
    assert [(fact.before, fact.value) for fact in view.facts] == [("a" * 12, "b" * 12)]


def test_another_test_set_is_said_in_the_first_sentence():
    now, before = (run(number, tags={"herald.test_hash": str(number)}) for number in (2, 1))
    view = ticket_of(occasion(RunResult(now), RunResult(before), FELL))
    assert view.verdict.other_test_set
    assert "so the two numbers cannot be compared" in shown(view, "en").split(". ")[0]
    assert Source.TEST_SET not in view.unknown
    assert Source.MACHINE in view.unknown


def test_a_parameter_that_came_or_went_is_a_difference_but_a_seed_is_none():
    now = run(2, params={"lr": "1", "new": "x", "seed": "2"})
    view = ticket_of(occasion(RunResult(now), RunResult(run(1, params={"lr": "1", "old": "y", "seed": "1"})), FELL))
    assert {(fact.name, fact.before, fact.value) for fact in view.facts} == {("new", "", "x"), ("old", "y", "")}


def test_runs_without_parameters_card_or_commit_have_nothing_compared():
    assert ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), FELL)).compared == ()
    both = ticket_of(
        occasion(RunResult(run(2), DataCard({"rows": 1.0})), RunResult(run(1), DataCard({"rows": 1.0})), FELL)
    )
    assert both.compared == (Source.CARD,)


def test_the_ticket_of_a_metric_that_was_not_logged_speaks_of_it_and_shows_no_chart_of_another():
    missing = Finding("mrr", Outcome.INVALID, Reason.MISSING)
    fine = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, value=0.39, baseline=0.4, change=-0.01, spread=0.01)
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), fine, missing))
    assert view.verdict.headline is not None
    assert view.verdict.headline.metric == "mrr"
    assert view.chart == ""
    assert "mrr is missing from this run" in shown(view, "en")


def test_a_slice_is_said_of_its_own_numbers():
    part = Finding(
        "ndcg", Outcome.REGRESSED, Reason.CONFIRMED, Slice("dept", "MEAT"), 0.1, 0.2, -0.1, share_of_loss=0.9
    )
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), FELL, part))
    assert "MEAT" in shown(view, "en")


def test_a_part_that_lost_more_than_all_is_named_without_a_share_that_nobody_could_read_aloud():
    part = Finding(
        "ndcg", Outcome.REGRESSED, Reason.CONFIRMED, Slice("dept", "MEAT"), 0.1, 0.2, -0.1, share_of_loss=1.36
    )
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), FELL, part))
    assert "Most of the loss by volume is in MEAT." in shown(view, "en")
    assert "变差主要集中在 MEAT。" in shown(view, "zh")


BERRIES = Slice("category", "berries", Slice("department", "PRODUCE"))


@pytest.mark.parametrize(
    ("where", "en", "zh"),
    [
        (
            Where((BERRIES,), 1.02, -0.0004, 0.4),
            "All of it is in PRODUCE / berries; without it the change is −0.1\u00a0%.",
            "变差全部来自 PRODUCE / berries；除此以外，变化为 −0.1%。",
        ),
        (
            Where((BERRIES, Slice("brand", "Acme")), 0.83, 0.0, 0.4),
            "83.0\u00a0% of it is in PRODUCE / berries and Acme; without them nothing changed.",
            "变差的 83.0% 来自 PRODUCE / berries 和 Acme；除此以外，没有变化。",
        ),
        (Where((BERRIES,), 0.97), "All of it is in PRODUCE / berries.", "变差全部来自 PRODUCE / berries。"),
    ],
)
def test_the_smallest_set_that_explains_a_fall_is_said_with_its_share_and_what_there_is_without_it(where, en, zh):
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), replace(FELL, where=where)))
    assert en in shown(view, "en")
    assert zh in shown(view, "zh").replace("\u00a0", "")


def test_a_slice_within_another_is_said_by_both_its_values():
    part = replace(FELL, part=BERRIES, share_of_loss=0.9)
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), replace(FELL, where=Where((BERRIES,), 0.9)), part))
    assert view.slices[0].part == "department = PRODUCE, category = berries"
    assert view.slices[0].plain.endswith("for department / category PRODUCE / berries")


@pytest.mark.parametrize("name", [page_title("搜索", run(1), "zh"), pipeline_page_title("搜索", "demo", "zh")])
def test_chinese_titles_have_chinese_brackets_and_colons(name: str):
    assert not set(name) & set("():,")


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [
        (1.7976931348623157e308, "ndcg is infinite in this run, so", "ndcg 为无穷大，因此"),
        (float("-inf"), "ndcg is minus infinity in this run, so", "ndcg 为负无穷大，因此"),
        (9e70, "ndcg is beyond all measure in this run (9e+70), so", "ndcg 大得无法比较（9e+70），因此"),
    ],
)
def test_an_infinity_is_called_one_in_sentence_title_and_table(value: float, en: str, zh: str):
    absurd = Finding("ndcg", Outcome.INVALID, Reason.ABSURD, value=value)
    view = ticket_of(occasion(RunResult(run(2)), RunResult(run(1)), absurd))
    for locale, sentence in (("en", en), ("zh", zh)):
        text = shown(view, locale)
        assert sentence in text
        assert "308" not in text
        assert "∞" not in text
        title = RENDERERS[locale].render_ticket(JIRA, view, {}).title
        assert ("infin" in title or "无穷大" in title) is (value != 9e70)


def test_runs_that_are_all_the_same_say_nothing_of_what_could_be_seen():
    same = Finding(
        "ndcg",
        Outcome.INSUFFICIENT_DATA,
        Reason.FIRST_RUNS,
        value=0.4,
        baseline=0.4,
        change=0.0,
        spread=1e-12,
        detectable=1e-11,
        n_baseline=2,
    )
    for locale in LOCALES:
        row = metric_row(same, MetricSection(), locale)
        assert (row.detectable, row.spread) == ("", "")
        assert "看不出来" not in sentences_in(locale).say_series(same)
        assert "could not have been seen" not in sentences_in(locale).say_series(same)
        one = Pairs(n=20, baseline=0.5, change=0.0, change_low=0.0, change_high=0.0, p=1.0, detectable=0.0)
        told = sentences_in(locale).say_pairs("ndcg", one, (), 0, regressed=False)
        assert "看不出来" not in told
        assert "could not" not in told
        assert "95" not in told


@pytest.mark.parametrize(
    ("also", "told"),
    [
        (("mrr", "ndcg_at_10"), "mrr 和 ndcg\\_at\\_10 同时变差"),
        (("mrr", "命中率", "auc"), "mrr、命中率和 auc 同时变差"),
        (("命中率", "mrr"), "命中率和 mrr 同时变差"),
        (("命中率", "命中数"), "命中率和命中数同时变差"),
    ],
)
def test_a_space_stands_between_chinese_and_latin_on_both_sides_of_and(also: tuple[str, ...], told: str):
    view = _verdict(also=also)(samples.ticket(samples.WORDS["zh"]))
    assert told in RENDERERS["zh"].render_ticket(JIRA, view, {}).body


def test_no_space_stands_after_a_closing_bracket_in_chinese():
    few = Finding(
        "ndcg",
        Outcome.INSUFFICIENT_DATA,
        Reason.FIRST_RUNS,
        value=0.31,
        baseline=0.3,
        change=0.01,
        spread=0.01,
        detectable=0.054,
        n_baseline=2,
    )
    said = sentences_in("zh").say_series(few)
    assert "） " not in said
    assert "）的变化目前还看不出来" in said


@pytest.mark.parametrize(
    ("locale", "says"),
    [
        ("en", ["ndcg for dept MEAT fell by 50", "from 0.2000 to 0.1000", "Over all examples together, no fall is certain."]),
        ("zh", ["ndcg（dept 为 MEAT 的分组）下降 50", "就全部样本而言，尚不能确定变差。"]),
    ],
)  # fmt: skip
def test_a_slice_that_fell_alone_is_said_in_a_sentence_to_be_read_aloud(locale: str, says: list[str]):
    whole = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, value=0.39, baseline=0.4, change=-0.01, spread=0.01)
    part = Finding("ndcg", Outcome.REGRESSED, Reason.LEVEL_FELL, Slice("dept", "MEAT"), 0.1, 0.2, -0.1, n_examples=40)
    on = replace(occasion(RunResult(run(2)), RunResult(run(1)), whole, part), locale=locale)
    incident = Incident("i", Kind.REGRESSED, SeriesKey("search"), IncidentState.OPEN, "r2", NOON, metrics=(part.key,))
    text = shown(ticket_view(on, Step(incident, Turn.FILED)), locale).replace("\N{NO-BREAK SPACE}", " ")
    assert [sentence for sentence in says if sentence not in text] == []
