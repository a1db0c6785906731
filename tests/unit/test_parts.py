"""Parts of the examples: which stand together, and what a picture says that has no letters for their names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.delivery.attachments import told_chart
from bot.domain.chart_legend import chart_legend
from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.parts import by_column
from bot.domain.runs import Slice
from bot.domain.views import ChartPart, LegendView, Numbered
from bot.preview import samples
from bot.render.renderer import Renderer
from bot.services.jira.config import JiraSection
from bot.services.trello.config import TrelloSection
from bot.text.locales import Locale


def part(column: str, value: str, share: float) -> Finding:
    return Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, Slice(column, value), share_of_loss=share)


def test_shares_of_one_column_stand_together_whatever_those_of_another_are():
    found = [part("user", "new", 0.6), part("dept", "MEAT", 0.1), part("user", "old", 0.4), part("dept", "DELI", 0.9)]
    ordered = by_column(found, lambda f: -(f.share_of_loss or 0.0))
    assert [f.part.spoken for f in ordered if f.part] == ["dept = DELI", "dept = MEAT", "user = new", "user = old"]


def test_a_part_that_a_picture_has_no_letters_for_is_named_by_its_number_beside_the_picture():
    names = ("dept = MEAT", "品类 = 护肤品")
    drawn = replace(samples.chart(), parts=tuple(ChartPart(name, 0.5, 0.2, 0.1, "dept") for name in names))
    assert [(each.number, each.name) for each in chart_legend(drawn).numbered] == [("2", "品类 = 护肤品")]
    for locale, colon in (("en", ": "), ("zh", "：")):
        told = told_chart(Renderer(Locale(locale)), drawn)
        assert f"2{colon}品类 = 护肤品" in told.caption
        assert "护肤品" in told.alt


@pytest.mark.parametrize("section", [JiraSection, TrelloSection])
def test_a_ticket_says_what_the_numbers_of_its_picture_are(section):
    legend = LegendView(("Quality",), parts=("品类 = 护肤品",), numbered=(Numbered("1", "品类 = 护肤品"),))
    ticket = replace(samples.ticket(samples.WORDS[Locale("en")]), chart="history-1.png", legend=legend)
    body = Renderer(Locale("en")).render_ticket(section.text_form, ticket, {}).body
    assert "1: 品类 = 护肤品" in body.replace("\\", "")  # Markdown may escape what is not a letter


def test_a_metric_that_a_picture_has_no_letters_for_has_a_number_too():
    legend = chart_legend(replace(samples.chart(), metric="点击率", parts=()))
    assert [(each.number, each.name) for each in legend.numbered] == [("[1]", "点击率")]
