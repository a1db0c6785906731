"""What the templates make of views: compared with stored text, in every outcome, and with hostile text in every field."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

import bot.render.renderer
from bot.cli.output.terminal import _COLOURS
from bot.domain.incidents import Kind
from bot.domain.judge.findings import Outcome, Reason
from bot.domain.message import Part
from bot.domain.runs import Trouble, Unread
from bot.domain.views import (
    ArchivePageView,
    CommentKind,
    CommentView,
    MetricRow,
    PipelinePageView,
    TicketView,
    Tone,
    VerdictView,
)
from bot.errors import PermanentError, TemplateError
from bot.preview import samples
from bot.render.chart_panels import MARKS
from bot.render.dialects import _LOZENGES
from bot.render.fitting import TITLE_CHARS, clean_title
from bot.render.form import TICKET_TITLE_CHARS
from bot.render.lookup import Lookup
from bot.render.renderer import Renderer
from bot.render.templates import check_overrides, our_templates
from bot.services.page_sections import replace_section
from bot.text.locales import Locale, known_locales
from tests.unit.golden_files import GOLDEN, GOLDENS, LOCALES, RENDERERS, show
from tests.unit.hostile_texts import LOOKALIKES, literal
from tests.unit.hostile_views import HOSTILE, addresses, hostile_views, poisoned
from tests.unit.reading import JOINER, Reading, read_jira, read_markdown, read_slack
from tests.unit.text_forms import FORMS, JIRA, SLACK, TRELLO

AC, RI = "{urn:confluence:ac}", "{urn:confluence:ri}"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("name", "make", "bound", "markup"), GOLDENS, ids=[g[0] for g in GOLDENS])
def test_it_reads_as_it_was_last_found_good(name: str, make: Any, bound: Any, markup: str, locale: Locale):
    """Compare with tests/golden; `HERALD_GOLDEN=write` stores what is rendered now, to be read before it is kept."""
    text = show(RENDERERS[locale], make(samples.WORDS[locale]), bound, markup) + "\n"
    stored = GOLDEN / locale / name
    if os.environ.get("HERALD_GOLDEN") == "write":
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(text, encoding="utf-8")
    assert text == stored.read_text(encoding="utf-8")


def test_no_golden_file_is_left_behind():
    stored = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.*")}
    assert stored == {f"{locale}/{name}" for locale in LOCALES for name, *_ in GOLDENS}


# Every path through the templates


def every_verdict(words: samples.Words) -> Iterator[VerdictView]:
    rows = samples.metric_rows(words)
    bare = MetricRow("m", "m", None, None, "", "", "", "", "", "", "")
    heads: list[MetricRow | None] = [None, rows[0], replace(rows[0], change="+0.0100", relative=""), bare]
    heads += [samples.breached_row(words), replace(samples.breached_row(words), reason=Reason.BELOW_LIMIT)]
    heads += [replace(rows[0], is_release=True), replace(rows[0], is_release=True, change="+0.0100", relative="")]
    for outcome in Outcome:
        for kind in (None, *Kind):
            for head in heads if kind in (None, outcome) else heads[:1]:
                yield VerdictView(outcome, kind, words.pipeline, head, (), (), "0", "1", cluster="lab")
            full = replace(rows[0], outcome=outcome)
            also, slices = ("a", "b", "c"), samples.slice_rows(words)
            yield VerdictView(outcome, kind, words.pipeline, full, also, slices, "1", "4", cluster="lab")
    for reason in Reason:
        yield VerdictView(
            Outcome.INVALID, Kind.INVALID, words.pipeline, replace(rows[0], reason=reason), (), (), "3", "1"
        )
    for code in ("timeout", "137"):
        yield VerdictView(Outcome.FAILED, Kind.FAILED, words.pipeline, None, (), (), "3", "1", exit_code=code)


def full_views_of(verdict: VerdictView, words: samples.Words) -> Iterator[Any]:
    yield replace(samples.ticket(words), verdict=verdict)
    for kind in CommentKind:
        yield replace(samples.repeat(words), kind=kind, verdict=verdict)
    yield replace(samples.run_page(words), verdict=verdict)
    section = samples.pipeline_page(words)
    yield replace(section, incidents=(replace(section.incidents[0], verdict=verdict),))
    for tone in Tone:
        yield replace(samples.message(words), tone=tone, verdict=verdict)


def bare_views_of(verdict: VerdictView, words: samples.Words) -> Iterator[Any]:
    ticket = samples.ticket(words)
    yield replace(ticket, verdict=verdict, rows=(), slices=(), facts=(), owner="", chart="", links={}, log_tail="x")
    for kind in CommentKind:
        yield replace(samples.repeat(words), kind=kind, verdict=verdict, rows=(), links={}, duration="1 d")
    page = samples.run_page(words)
    yield replace(page, verdict=verdict, rows=(), slices=(), params=(), facts=(), chart=None, marker="", previous=None)
    yield replace(page, verdict=verdict, links={})
    yield replace(samples.pipeline_page(words), incidents=(), history=(), description="", owner="")
    for tone in Tone:
        yield replace(samples.message(words), tone=tone, verdict=verdict, rows=(), links={}, owner="", duration="1 d")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_and_kind_has_a_text_with_nothing_undefined(locale: Locale, outcome: Outcome):
    words = samples.WORDS[locale]
    verdicts = [verdict for verdict in every_verdict(words) if verdict.outcome is outcome]
    for turn, verdict in enumerate(verdicts):
        is_short = verdict.headline is None  # what stands around a sentence leaves out the same things in all
        views = [*full_views_of(verdict, words), *(bare_views_of(verdict, words) if is_short else ())]
        for number, view in enumerate(views, turn):
            markups = ("jira", "trello") if is_short else (("jira", "trello")[turn % 2],)
            for markup in markups if isinstance(view, TicketView | CommentView) else ("",):
                text = show(RENDERERS[locale], view, samples.BOUND if number % 2 else {}, markup)
                assert text.strip()
                assert "None" not in text
                assert "  " not in re.sub(r"{noformat}.*?{noformat}|\|.*", "", text, flags=re.DOTALL)
                assert not re.search(r" [.,;]|\.\.|。。|，。| （|([:：；;,，] *){2}", text), text


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("trouble", Trouble)
def test_what_a_run_was_judged_without_is_said_on_its_page(locale: Locale, trouble: Trouble):
    page = samples.run_page(samples.WORDS[locale])
    unread = (Unread("data_card.json", trouble, "line <1> & more"), Unread("per_example.parquet", trouble))
    text = RENDERERS[locale].render_run_page(replace(page, unread=unread), {}).body
    parsed(text)
    assert {"en": "it was judged without that:", "zh": "判定时没有用到："}[locale] in text
    assert "line &lt;1&gt; &amp; more" in text
    said = [
        line for line in text.splitlines() if "<code>data_card.json</code>" in line or "per_example.parquet" in line
    ]
    assert len(set(said)) == 2
    assert "判定时" not in RENDERERS[locale].render_run_page(page, {}).body


@pytest.mark.parametrize("locale", LOCALES)
def test_a_run_whose_card_could_not_be_read_is_not_said_to_have_none(locale: Locale):
    page = replace(samples.run_page(samples.WORDS[locale]), facts=())
    none = {"en": "came without a data card", "zh": "没有附带数据卡"}[locale]
    assert none in RENDERERS[locale].render_run_page(page, {}).body
    unread = (Unread("artifacts", Trouble.NOT_HAD, "the server answers 404"),)
    assert none not in RENDERERS[locale].render_run_page(replace(page, unread=unread), {}).body


@pytest.mark.parametrize("locale", LOCALES)
def test_a_suspicion_is_not_called_a_regression(locale: Locale):
    words = samples.WORDS[locale]
    view = replace(samples.suspicious_message(words))
    text = str(RENDERERS[locale].render_message(SLACK, view, {}))
    assert {"en": "a rerun, or the next run, will tell", "zh": "要等重跑或下一次运行来确认"}[locale] in text
    assert not re.search("confirmed|got worse|回归|确认为", text)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_project_manager_reads_no_test_statistics(locale: Locale):
    for _, make, bound, markup in GOLDENS:
        text = show(RENDERERS[locale], make(samples.WORDS[locale]), bound, markup)
        assert not re.search(r"\bp[ -]?value|\bp\s*[<=]|显著性水平|p 值|t test|sigma", text)


@pytest.mark.parametrize("locale", LOCALES)
def test_where_the_loss_is_leaves_room_for_other_parts(locale: Locale):
    text = RENDERERS[locale].render_ticket(JIRA, samples.ticket(samples.WORDS[locale]), {}).body
    assert {"en": "Most of the loss by volume is in GROCERY", "zh": "变差主要集中在 GROCERY"}[locale] in text
    assert "only" not in text.lower().replace("read-only", "")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_page_shows_the_ticket_by_its_label(locale: Locale):
    page = RENDERERS[locale].render_run_page(samples.run_page(samples.WORDS[locale]), {})
    macro = next(m for m in parsed(page.body).iter(f"{AC}structured-macro") if m.get(f"{AC}name") == "jira")
    query = {p.get(f"{AC}name"): p.text for p in macro}
    assert query["jqlQuery"] == f'labels = "{samples.MARKER}"'


def test_a_message_document_is_read_as_it_was_written():
    document = RENDERERS["en"].render_message(SLACK, samples.message(samples.WORDS["en"]), samples.BOUND)
    assert document.tone is Tone.BAD
    assert document.headline.startswith("Next purchase: Ranking quality fell by 14.8\u00a0%, from 0.171 to 0.146")
    assert "<" not in document.headline
    assert [paragraph.part for paragraph in document.body] == [Part.SECTION, Part.SECTION, Part.SECTION, Part.CONTEXT]
    assert document.body[-1].text.startswith("Owner: Search team")


# Hostile text in every field


TICKETS = st.one_of(
    *map(hostile_views, (samples.ticket, samples.invalid_ticket, samples.failed_ticket, samples.stale_ticket))
)
COMMENTS = st.one_of(hostile_views(samples.repeat), hostile_views(samples.recovery))
PAGES = st.one_of(
    hostile_views(samples.run_page), hostile_views(samples.pipeline_page), hostile_views(samples.archive_page)
)
MESSAGES = st.one_of(
    *map(
        hostile_views, (samples.message, samples.suspicious_message, samples.recovered_message, samples.failed_message)
    )
)


def check_jira(seen: Reading, view: Any, bound: dict[str, Any]) -> None:
    assert seen.kinds() <= {"row", "line", "link", "mono", "macro", "strong", "image", "block"}
    assert all(re.fullmatch(r"{color(:#[0-9a-f]{6})?}", macro) for macro in seen.details("macro"))
    assert set(seen.details("line")) <= {"h3.", "*", "----"}
    assert all(re.fullmatch(r"[A-Za-z0-9._/=-]+|/herald [a-z]+", mono) for mono in seen.details("mono"))
    known = addresses(view) | addresses(tuple(bound.values()))
    assert {link.rpartition("|")[2] for link in seen.details("link")} <= known
    assert all(image == f"!{view.chart}|width=720!" for image in seen.details("image"))


@HOSTILE
@given(TICKETS)
def test_nothing_gets_into_a_jira_ticket(drawn: Any):
    locale, view, bound = drawn
    text = RENDERERS[locale].render_ticket(JIRA, view, bound)
    check_jira(read_jira(text.body), view, bound)
    assert len(text.title) <= TICKET_TITLE_CHARS
    assert "\n" not in text.title


@HOSTILE
@given(COMMENTS)
def test_nothing_gets_into_a_jira_comment(drawn: Any):
    locale, view, bound = drawn
    check_jira(read_jira(RENDERERS[locale].render_comment(JIRA, view, bound).body), view, bound)


@HOSTILE
@given(st.one_of(TICKETS, COMMENTS))
def test_nothing_gets_into_a_trello_card(drawn: Any):
    locale, view, bound = drawn
    if isinstance(view, TicketView):
        text = RENDERERS[locale].render_ticket(TRELLO, view, bound).body
    else:
        text = RENDERERS[locale].render_comment(TRELLO, view, bound).body
    seen = read_markdown(text)
    assert seen.kinds() <= {"line", "link", "mono", "strong", "block"}
    assert set(seen.details("line")) <= {"###", "-", "---"}
    assert set(seen.details("link")) <= addresses(view) | addresses(tuple(bound.values()))


def parsed(body: str) -> Any:
    return etree.fromstring(f'<page xmlns:ac="urn:confluence:ac" xmlns:ri="urn:confluence:ri">{body}</page>')


@HOSTILE
@given(PAGES)
def test_nothing_gets_into_a_page(drawn: Any):
    locale, view, bound = drawn
    shown = show(RENDERERS[locale], view, bound)
    page = parsed(shown if isinstance(view, PipelinePageView) else shown.partition("\n\n")[2])
    plain = ["p", "h2", "ul", "li", "table", "tbody", "tr", "th", "td", "br", "strong", "code", "small", "a", "page"]
    ours = [f"{AC}{n}" for n in ["structured-macro", "parameter", "rich-text-body", "link", "link-body", "image"]]
    assert {e.tag for e in page.iter()} <= {*plain, *ours, f"{RI}page", f"{RI}attachment"}
    macros = {e.get(f"{AC}name") for e in page.iter(f"{AC}structured-macro")}
    assert macros <= {"tip", "note", "warning", "info", "status", "jira", "children"}
    assert {e.get("href") for e in page.iter("a")} <= addresses(view) | addresses(tuple(bound.values()))
    shown = "".join(page.itertext()).replace(JOINER, "")
    match view:
        case PipelinePageView():
            said = view.owner
        case ArchivePageView():
            said = view.year
        case _:
            said = view.run.name or view.run.run_id
    assert literal(said) in shown


@HOSTILE
@given(MESSAGES)
def test_nothing_gets_into_a_message(drawn: Any):
    locale, view, bound = drawn
    document = RENDERERS[locale].render_message(SLACK, view, bound)
    assert document.tone is view.tone
    assert document.headline
    parts = [paragraph.part for paragraph in document.body]
    assert Part.DIVIDER not in parts
    assert parts.count(Part.CONTEXT) == 1
    assert parts[-1] is Part.CONTEXT
    for piece in (document.headline, *(paragraph.text for paragraph in document.body)):
        seen = read_slack(piece)
        assert seen.kinds() <= {"link"}
        known = {link.replace("&", "&amp;") for link in addresses(view) | addresses(tuple(bound.values()))}
        assert set(seen.details("link")) <= known
    owner = literal(view.owner).rstrip(" ").translate(LOOKALIKES)  # where it ends a line, its last spaces go
    assert owner in read_slack(document.body[-1].text).text.translate(LOOKALIKES)


# Limits

HUGE = ["x" * 100_000, "{code}|" * 15_000, "🙂" * 50_000, "\u202e<&>" * 25_000, "a\n" * 50_000, "word " * 20_000]


@pytest.mark.parametrize("text", HUGE, ids=["letters", "markup", "four bytes", "unseen", "lines", "words"])
@pytest.mark.parametrize("locale", LOCALES)
def test_every_limit_is_kept_and_the_cut_is_told(locale: Locale, text: str):
    words, renderer = samples.WORDS[locale], RENDERERS[locale]
    swollen = lambda view: poisoned(view, lambda: text)  # noqa: E731
    for make in (samples.ticket, samples.failed_ticket, samples.repeat):
        view = swollen(make(words))
        for markup, limit in (("jira", 32_767), ("trello", 16_384)):
            if isinstance(view, TicketView):
                ticket = renderer.render_ticket(FORMS[markup], view, samples.BOUND)
                body = ticket.body
                assert ticket.cut
                assert units(ticket.title) <= TICKET_TITLE_CHARS
            else:
                body = renderer.render_comment(FORMS[markup], view, samples.BOUND).body
            assert units(body) <= limit
            assert {"en": "more characters", "zh": "个字符"}[locale] in body
    page = renderer.render_run_page(swollen(samples.run_page(words)), samples.BOUND)
    assert len(page.body.encode()) < 5_000_000
    assert units(page.title) <= TITLE_CHARS
    message = str(renderer.render_message(SLACK, swollen(samples.message(words)), samples.BOUND))
    assert units(message) <= 12_000
    assert all(units(paragraph) <= 3_000 for paragraph in message.split("\n\n"))


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_more_than_a_thousand_parameters_become_as_many_rows_as_fit_and_a_count_of_the_rest():
    words = samples.WORDS["en"]
    many = tuple(replace(samples.PARAMS[0], name=f"param_{number}", value="v" * 300) for number in range(1200))
    ticket = RENDERERS["en"].render_ticket(JIRA, replace(samples.ticket(words), facts=many), samples.BOUND)
    assert ticket.cut
    assert units(ticket.body) <= 28_000
    assert re.search(r"\| and \d+ more +\|", ticket.body)
    page = RENDERERS["en"].render_run_page(replace(samples.run_page(words), params=many), {})
    assert "and 200 more" in page.body


def test_a_log_keeps_its_end():
    log = "\n".join(f"step {number}" for number in range(20_000)) + "\nMemoryError"
    body = (
        RENDERERS["en"].render_ticket(JIRA, replace(samples.failed_ticket(samples.WORDS["en"]), log_tail=log), {}).body
    )
    assert "MemoryError\n{noformat}" in body
    assert "step 0\n" not in body
    assert "more characters" in body


@given(st.text(max_size=600))
def test_a_title_is_one_line_within_bounds_and_cleaning_it_again_changes_nothing(title: str):
    cleaned = clean_title(title)
    assert units(cleaned) <= TITLE_CHARS
    assert "\n" not in cleaned
    assert clean_title(cleaned) == cleaned


def test_a_long_title_keeps_the_end_that_makes_it_unique():
    assert clean_title("x" * 400 + " (b04e77aa)").endswith("x (b04e77aa)")


# A team's own templates


def custom(folder: Path, name: str, text: str) -> tuple[Renderer, list[str]]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    heard: list[str] = []
    return Renderer("en", folder, lambda error: heard.append(str(error))), heard


OURS = RENDERERS["en"].render_ticket(JIRA, samples.ticket(samples.WORDS["en"]), {})


def render_custom(tmp_path: Path, text: str, name: str = "jira/ticket.wiki.j2") -> tuple[str, list[str]]:
    renderer, heard = custom(tmp_path, name, text)
    return renderer.render_ticket(JIRA, samples.ticket(samples.WORDS["en"]), {}).body, heard


@pytest.mark.parametrize("name", ["jira/ticket.wiki.j2", "en/jira/ticket.wiki.j2"])
def test_a_teams_template_replaces_ours_by_name(tmp_path: Path, name: str):
    body, heard = render_custom(
        tmp_path, '{% import "words.j2" as words %}\nOurs: {{ words.verdict(view.verdict) }}', name
    )
    assert body.startswith("Ours: Ranking quality fell by")
    assert heard == []


def test_a_team_can_change_a_few_words(tmp_path: Path):
    source = (our_templates() / "words" / "en.j2").read_text(encoding="utf-8").replace('"Got worse"', '"Regression"')
    body, heard = render_custom(tmp_path, source, "words.j2")
    assert "*Regression*" in body
    assert heard == []


def test_a_template_cannot_forget_to_escape(tmp_path: Path):
    renderer, heard = custom(
        tmp_path,
        "jira/ticket.wiki.j2",
        "{{ view.owner }} {{ '[~x]' }} {{ view.owner ~ strong('y') }} {{ strong('y') + view.owner }}"
        " {{ [view.owner, strong('y')] | join(', ') }} {% set o %}{{ view.owner }}{% endset %}{{ o }}"
        " {% macro m(x) %}{{ x }}{% endmacro %}{{ m(view.owner) }} {{ view.owner | upper }}"
        " {% autoescape false %}{{ view.owner }}{% endautoescape %}",
    )
    body = renderer.render_ticket(JIRA, replace(samples.ticket(samples.WORDS["en"]), owner="[~admin]"), {}).body
    assert heard == []
    assert body.count(r"\[\~admin\]") == 7
    assert read_jira(body).kinds() == {"strong"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("one\n{% if %}", r"ticket\.wiki\.j2, line 2: Expected an expression"),
        ("one\n\n{{ view.ownr }}", r"ticket\.wiki\.j2, line 3: .*no attribute 'ownr'"),
        ("{{ view.owner | safe }}", r"line 1: No filter named 'safe'"),
        ("{{ missing }}", r"line 1: 'missing' is undefined"),
        ("{{ panel(view.verdict.outcome, 'x') }}", r"line 1: 'panel' is undefined"),
        ("{{ none }}", r"line 1: it writes None, which is no text"),
        ("{{ view.rows }}", r"line 1: it writes \("),
        ("\n{% include 'nothing.j2' %}", r"line 2: there is no template nothing\.j2"),
        ("{{ ''.__class__.__mro__ }}", r"line 1: access to attribute '__class__'"),
        ("{{ strong('x').join(['a']) }}", r"line 1: access to attribute 'join'"),
        ("{{ strong('x') % 'a' }}", r"line 1: % on markup"),
        ("{{ strong('x')[0] }}", r"line 1: markup cannot be cut into pieces"),
        ("{{ 'x' * 1000000000 }}", r"line 1: \* on text"),
        ("{{ block(strong('x')) }}", r"line 1: a block takes text, not markup"),
        ("{% for a in 'x'.ljust(3000) %}{% for b in 'x'.ljust(3000) %}{{ a }}{% endfor %}{% endfor %}", "more than 100,000 pieces"),
        ("{% macro m() %}{% for a in 'x'.ljust(150000) %}.{% endfor %}{% endmacro %}{{ m() }}", "more than 100,000 pieces"),
        ("{% for a in 'x'.ljust(3000) %}" + "y" * 1000 + "{% endfor %}", "more than 2,000,000 characters"),
        ("  \n ", "puts out nothing"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    ],
)  # fmt: skip
def test_a_broken_template_is_told_by_file_and_line_and_ours_is_used(tmp_path: Path, text: str, told: str):
    body, heard = render_custom(tmp_path, text)
    assert body == OURS.body
    assert len(heard) == 1
    assert re.search(told, heard[0]), heard[0]


def test_a_page_that_is_not_xml_is_not_used(tmp_path: Path):
    renderer, heard = custom(tmp_path, "confluence/run.storage.j2", "<p>{{ view.run.name }}<p>\n&nbsp;")
    view = samples.run_page(samples.WORDS["en"])
    assert renderer.render_run_page(view, {}) == RENDERERS["en"].render_run_page(view, {})
    assert re.search(r"run\.storage\.j2: puts out what is not XML, at .*nbsp", heard[0])


@pytest.mark.parametrize(
    ("page", "is_fine"),
    [("<p>a&nbsp;b</p>", True), ("<at:var at:name='x' />", True), ("<p>&undefined;</p>", False), ("<x:y/>", False), ("<p>", False)],
)  # fmt: skip
def test_a_page_is_read_alike_when_it_is_rendered_and_when_it_is_written(tmp_path: Path, page: str, is_fine: bool):
    renderer, heard = custom(tmp_path, "confluence/run.storage.j2", page)
    rendered = renderer.render_run_page(samples.run_page(samples.WORDS["en"]), {}).body
    assert (rendered == page) == is_fine
    assert (heard == []) == is_fine
    with nullcontext() if is_fine else pytest.raises(PermanentError, match="not well-formed"):
        replace_section("", page)


def test_a_broken_template_of_ours_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    renderer = Renderer("en")
    monkeypatch.setattr(renderer, "_ours", Lookup(Locale("en"), (tmp_path,)))
    (tmp_path / "words.j2").write_text("{% if %}")
    with pytest.raises(TemplateError, match=r"words\.j2, line 1"):
        renderer.render_message(SLACK, samples.message(samples.WORDS["en"]), {})


def test_a_teams_folder_is_checked_before_it_is_needed(tmp_path: Path):
    for name, text in (("jira/tickets.wiki.j2", "x"), ("zh/words.j2", "{% if %}"), ("slack/message.mrkdwn.j2", "fine")):
        custom(tmp_path, name, text)
    (tmp_path / "jira" / "comment.wiki.j2").write_bytes(b"\xff")
    told = [str(error) for error in check_overrides(tmp_path)]
    assert len(told) == 3
    assert re.search(r"comment\.wiki\.j2: cannot be read", told[0])
    assert re.search(
        r"jira/tickets\.wiki\.j2: replaces nothing; the nearest template is jira/ticket\.wiki\.j2", told[1]
    )
    assert re.search(r"zh/words\.j2, line 1: Expected an expression", told[2])


def test_rows_in_a_teams_own_table_stay_in_their_cells(tmp_path: Path):
    renderer, _ = custom(tmp_path, "jira/ticket.wiki.j2", "| {{ view.owner }} | x |")
    body = renderer.render_ticket(JIRA, replace(samples.ticket(samples.WORDS["en"]), owner="a|b"), {}).body
    assert read_jira(body).constructs == [("row", "2")]


def test_importing_it_is_light():
    heavy = "{'jinja2', 'lxml', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, bot.render.renderer; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_templates_are_found_inside_an_installed_package(tmp_path: Path):
    package = Path(bot.render.renderer.__file__).parents[1]
    shutil.copytree(package, tmp_path / "bot", ignore=shutil.ignore_patterns("sandbox", "demo", "__pycache__"))
    shutil.copytree(our_templates(), tmp_path / "bot" / "templates")
    code = "from bot.render.templates import our_templates; print(our_templates())"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == tmp_path / "bot" / "templates"


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("jira/ticket.wiki.j2", "{{ block('a|b\\nc') }}", "{noformat}\na|b\nc\n{noformat}"),
        ("jira/ticket.wiki.j2", "{{ link('a|b', 'https://x.example/') }}", r"a\|b ([https://x.example/])"),
        ("jira/ticket.wiki.j2", "{{ code('a b*') }} {{ 3 - 1 }} {{ 2 * 3 }}", r"a b\* 2 6"),
        ("jira/comment.wiki.j2", "{{ image('../x!y.png') }}{{ strong('  ') }}.", "."),
        ("slack/message.mrkdwn.j2", "head\n\n{{ block('a\\n`<b') }}", "head\n\n```\na\n\u02cb&lt;b\n```"),
        ("slack/message.mrkdwn.j2", "{{ strong(' a ') }} {{ link('x|y', 'https://x.example/?a=1&b') }}", "*a* x|y (<https://x.example/?a=1&amp;b>)"),
        ("trello/ticket.md.j2", "{{ strong('a*') }} {{ code('a`b') }} {{ link('[x]', 'https://x.example') }}", r"**a\*** a\`b [\[x\]](https://x.example)"),
        ("confluence/run.storage.j2", "{{ block(']]>') }}", '<ac:structured-macro ac:name="code" ac:schema-version="1"><ac:parameter ac:name="language">none</ac:parameter><ac:plain-text-body><![CDATA[]]]]><![CDATA[>]]></ac:plain-text-body></ac:structured-macro>'),
        ("confluence/run.storage.j2", "<p>{{ page_link('A & B', strong('x')) }}{{ page_link('') }}{{ tickets('') }}{{ link('t', 'javascript:x') }}</p>", '<p><ac:link><ri:page ri:content-title="A &amp; B" /><ac:link-body><strong>x</strong></ac:link-body></ac:link>t</p>'),
    ],
)  # fmt: skip
def test_constructs_write_what_their_language_calls_for(tmp_path: Path, name: str, text: str, written: str):
    renderer, heard = custom(tmp_path, name, text)
    words = samples.WORDS["en"]
    made = {
        "jira/ticket.wiki.j2": lambda: renderer.render_ticket(JIRA, samples.ticket(words), {}).body,
        "jira/comment.wiki.j2": lambda: renderer.render_comment(JIRA, samples.repeat(words), {}).body,
        "trello/ticket.md.j2": lambda: renderer.render_ticket(TRELLO, samples.ticket(words), {}).body,
        "slack/message.mrkdwn.j2": lambda: str(renderer.render_message(SLACK, samples.message(words), {})),
        "confluence/run.storage.j2": lambda: renderer.render_run_page(samples.run_page(words), {}).body,
    }[name]()
    assert heard == []
    assert made == written


def test_a_teams_text_that_never_fits_is_cut_at_a_line_and_closed(tmp_path: Path):
    body, heard = render_custom(
        tmp_path, "{{ block('x') }}\n" + "long line of ours\n" * 1400 + "{noformat}\n" + "log\n" * 2000 + "{noformat}"
    )
    assert heard == []
    assert units(body) <= 28_000
    assert body.endswith(
        "{noformat}\nThe rest was cut here, for want of room. The run's report and MLflow have all of it."
    )


def test_a_message_that_never_fits_is_cut_paragraph_by_paragraph(tmp_path: Path):
    renderer, heard = custom(
        tmp_path, "slack/message.mrkdwn.j2", "tone: bad\nhead\n\n" + ("line of ours\n" * 400 + "\n") * 6
    )
    text = str(renderer.render_message(SLACK, samples.message(samples.WORDS["en"]), {}))
    assert heard == []
    assert units(text) <= 10_000
    assert all(units(paragraph) <= 3_000 for paragraph in text.split("\n\n"))
    assert text.count("The rest was cut here") >= 3


def test_a_page_that_never_fits_is_not_used(tmp_path: Path):
    renderer, heard = custom(tmp_path, "confluence/run.storage.j2", "<p>🙂" + "🙂" * 1_100_000 + "</p>")
    view = samples.run_page(samples.WORDS["en"])
    assert renderer.render_run_page(view, {}) == RENDERERS["en"].render_run_page(view, {})
    assert "a page takes 2,000,000" in heard[0]


@pytest.mark.parametrize("locale", known_locales())
def test_every_outcome_and_reason_has_its_words(locale):
    text = (our_templates() / "words" / f"{locale}.j2").read_text(encoding="utf-8")
    for name in (*Outcome, *Reason):
        assert f'"{name}":' in text, f"words/{locale}.j2 has no word for {name}"


def test_every_outcome_has_its_colours():
    for table in (_LOZENGES, MARKS, _COLOURS):
        assert set(Outcome) - set(table) == set()
