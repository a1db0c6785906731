"""A language is two files: its words, a template, and its conventions, a module. Layouts have no word of any."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import nodes

from bot.config.file import load_config
from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.views import Unset
from bot.errors import ConfigError
from bot.judging.titles import archive_page_title, pipeline_page_title
from bot.preview import samples
from bot.render.dialects import HTML, MARKDOWN, PLAIN, STORAGE, Dialect
from bot.render.dialects import JIRA as WIKI
from bot.render.dialects import SLACK as MRKDWN
from bot.render.environment import TemplateEnvironment
from bot.render.lookup import Lookup
from bot.render.renderer import Renderer
from bot.render.templates import check_overrides, our_templates
from bot.reports.judge_sentences import JudgeSentences
from bot.text import formats, locales
from bot.text.locales import Locale, known_locales
from tests.unit.golden_files import GOLDENS, show
from tests.unit.text_forms import JIRA, SLACK

ENGLISH = Renderer(Locale("en"))
LAYOUTS = sorted(
    path.relative_to(our_templates()).as_posix()
    for path in our_templates().rglob("*.j2")
    if path.parent.name != "words"
)
GRAMMAR = {"macro counted"}  # what one language's grammar calls for, and no layout
TOY = """
from bot.text.locales import Conventions

CONVENTIONS = Conventions(
    slice_of="{metric} OF {column} {value}",
    percent="{number} PC",
    between="{low} .. {high}",
    aside="{text} [{aside}]",
    months=tuple("abcdefghijkl"),
    weekdays=tuple("ABCDEFG"),
    moment="{time} {day}/{month}/{year}",
    day="{day}/{month}",
    date="{day}/{month}/{year}",
    coming="{weekday} {time} {day}/{month}",
    duration="{count}{unit}",
    units=("DAY", "HOUR", "MIN", "SEC"),
    run_page="RUN {run} OF {pipeline} {run_id}",
    pipeline_page="{pipeline} BY {instance}",
    archive_page="{year} OF {pipeline} BY {instance}",
    seldom_right="{fixed} sur {judged}",
    digest_page="DIGEST {until} BY {instance}",
    ledger_page="QUIET BY {instance}",
)
"""


def tree_of(name: str) -> nodes.Template:
    return TemplateEnvironment(PLAIN, Lookup(Locale("en"), ())).parse((our_templates() / name).read_text("utf-8"))


def tokens_of(source: str) -> list[tuple[str, str]]:
    lexed = TemplateEnvironment(PLAIN, Lookup(Locale("en"), ())).lex(source)
    return [(kind, text) for _, kind, text in lexed]


def loud(source: str) -> str:
    """Make a language of English: the same words, in capitals, wherever a template says one."""
    tokens = tokens_of(source)
    places = [place for place, (kind, _) in enumerate(tokens) if kind != "whitespace"]
    for before, place, after in zip(places, places[1:], places[2:], strict=False):
        kind, text = tokens[place]
        is_value = tokens[before][1] in (":", "=", "or", "else") or tokens[after][1] == "if"
        is_key = tokens[after][1] == ":"
        if kind == "data" or (kind == "string" and not is_key and (is_value or " " in text)):
            spoken = re.sub(r"{[^}]*}|\\n|[^{\\]+", lambda m: m[0] if m[0][0] in "{\\" else m[0].upper(), text)
            tokens[place] = kind, spoken
    return "".join(text for _, text in tokens)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Locale]:
    """Add a language: one file beside the other words, one beside the other conventions."""
    templates, modules = tmp_path / "templates", tmp_path / "locales"
    shutil.copytree(our_templates(), templates)
    modules.mkdir()
    (templates / "words" / "xx.j2").write_text(loud((templates / "words" / "en.j2").read_text("utf-8")), "utf-8")
    (modules / "xx.py").write_text(TOY, "utf-8")
    monkeypatch.setattr(locales, "__path__", [*locales.__path__, str(modules)])
    monkeypatch.setattr("bot.render.renderer.our_templates", lambda: templates)
    monkeypatch.setattr("bot.render.templates.our_templates", lambda: templates)
    yield Locale("xx")
    sys.modules.pop("bot.text.locales.xx", None)
    locales.conventions.cache_clear()


def test_a_language_that_is_added_is_spoken_in_every_text(toy):
    renderer = Renderer(toy)
    for name, make, bound, markup in GOLDENS:
        view = make(samples.WORDS["en"])
        text, english = (show(each, view, bound, markup) for each in (renderer, ENGLISH))
        assert text.upper() == english.upper(), name
        assert text != english, name


def test_a_language_that_is_added_is_spoken_by_the_judge_and_of_what_was_refused(toy):
    finding = Finding(
        "m", Outcome.REGRESSED, Reason.LEVEL_FELL,
        value=0.1, baseline=0.2, change=-0.1, change_low=-0.2, change_high=-0.05, spread=0.01, onset="3",
    )  # fmt: skip
    words, english = JudgeSentences(toy), JudgeSentences(Locale("en"))
    for say in (
        lambda w: w.say_series(finding),
        lambda w: w.say_stretches("m", None, 3),
        lambda w: w.say_pairs("m", None, (), 0, regressed=False),
        lambda w: w.outcome(Outcome.STALE),
        lambda w: w.why("levels"),
        lambda w: w.renderer.render_unset(JIRA, [Unset("priority", "High", "no such name")]),
        lambda w: w.word("test_message"),
    ):
        assert say(words) != say(english)
    assert "LIES WITHIN −0.200 .. −0.050 [−100.0 PC .. −25.0 PC]" in words.say_series(finding)


def test_a_language_that_is_added_has_its_numbers_dates_and_titles(toy):
    when, zone = datetime(2026, 11, 4, 12, 5, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    assert formats.percent(0.5, toy) == "50.0 PC"
    assert formats.moment(when, zone, toy) == "13:05 4/k/2026"
    assert formats.day(when, zone, toy) == "4/k"
    assert formats.date(when, zone, toy) == "4/k/2026"
    assert formats.coming(when, zone, toy) == "C 13:05 4/k"
    assert formats.duration(timedelta(hours=3, minutes=4), toy) == "3HOUR 4MIN"
    assert pipeline_page_title("Search", "herald", toy) == "Search BY herald"
    assert archive_page_title("Search", 2026, "herald", toy) == "2026 OF Search BY herald"


def test_a_language_that_is_added_can_be_asked_for(toy, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('locale = "xx"\n[pipeline.p]\nexperiment = "e"\n[pipeline.p.metrics.m]\nname = { xx = "M" }')
    config = load_config(path)
    assert config.locale_of("p") == toy
    assert config.pipeline["p"].metrics["m"].name == {toy: "M"}
    path.write_text('locale = "yy"')
    with pytest.raises(ConfigError, match=r"locale: 'yy' should be .*'xx'"):
        load_config(path)


def test_every_language_has_its_words_and_its_conventions():
    assert {path.stem for path in (our_templates() / "words").glob("*")} == set(known_locales()) >= {"en", "zh"}
    assert not [locale for locale in known_locales() if (our_templates() / locale).exists()]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_no_word_of_any_language(name: str):
    """What stands in it is markup; what it compares with, or names, is not said."""
    tokens = tokens_of((our_templates() / name).read_text("utf-8"))
    prose = "".join(text if kind == "data" else " " for kind, text in tokens if kind != "comment")
    assert not re.findall(r"\w+", re.sub(r"<[^>]*>|^h\d\.|\btone:|\bfalls:( \d)?", "", prose, flags=re.MULTILINE))
    assert not [text for kind, text in tokens if kind == "string" and re.search(r"\w \w|[^\x00-\x7f]", text)]


def said_by(locale: str) -> Iterator[str]:
    """Name what the words of a language define, what they tell apart, and what of a view they show."""
    tree = tree_of(f"words/{locale}.j2")
    for macro in tree.find_all(nodes.Macro):
        yield f"macro {macro.name}"
    for each in tree.find_all(nodes.Assign):
        yield f"set {each.target.name}"
    for pair in tree.find_all(nodes.Pair):
        yield f"key {pair.key.value}"
    for read in tree.find_all(nodes.Getattr):
        yield f"{read.node.name if isinstance(read.node, nodes.Name) else ''}.{read.attr}"
    for compared in tree.find_all(nodes.Operand):
        yield from (
            f"is {c.value}" for c in compared.find_all(nodes.Const) if re.fullmatch(r"[a-z_0-9]*", str(c.value))
        )


@pytest.mark.parametrize("locale", known_locales())
def test_all_languages_define_tell_apart_and_show_the_same(locale: Locale):
    assert set(said_by(locale)) - GRAMMAR == set(said_by("en")) - GRAMMAR


@pytest.mark.parametrize("locale", known_locales())
def test_every_language_has_every_text(locale: Locale):
    renderer = Renderer(locale)
    for _, make, bound, markup in GOLDENS:
        assert show(renderer, make(samples.WORDS["en"]), bound, markup)


def test_nothing_english_is_left_in_the_chinese_words():
    source = (our_templates() / "words" / "zh.j2").read_text("utf-8")
    prose = re.sub(r"{{.*?}}|{%.*?%}|{#.*?#}|<[^>]*>", " ", source, flags=re.DOTALL)
    assert not re.findall(r"(?<![\w.])(?!Herald\b|MLflow\b)[A-Za-z]{2,}", prose)


# A team's own words and layouts


def team(folder: Path, locale: str = "en", **files: str) -> tuple[Renderer, list[str]]:
    for name, text in files.items():
        path = folder / (name.replace("__", "/").replace("_j2", ".j2"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    heard: list[str] = []
    return Renderer(Locale(locale), folder, lambda error: heard.append(str(error))), heard


def ticket_by(renderer: Renderer, locale: str = "en") -> str:
    return renderer.render_ticket(JIRA, samples.ticket(samples.WORDS[locale]), {}).body


def test_a_team_words_anew_what_it_wants_and_the_rest_is_ours(tmp_path: Path):
    renderer, heard = team(tmp_path, words__en_j2="{% macro owner(name) %}crew {{ name }}{% endmacro %}")
    assert ticket_by(renderer) == ticket_by(ENGLISH).replace("Owner: ", "Owner: crew ")
    page = renderer.render_pipeline_section(samples.pipeline_page(samples.WORDS["en"]), {})
    assert page.count("crew Search team") == 2  # in sentences of ours too
    assert heard == []


def test_a_team_words_one_language_and_leaves_the_other(tmp_path: Path):
    words = {"words__en_j2": '{% set nothing = "void" %}', "zh__words_j2": '{% set nothing = "空空" %}'}
    english, _ = team(tmp_path, **words)
    chinese, _ = team(tmp_path, "zh", **words)
    for renderer, word in ((english, "void"), (chinese, "空空")):
        view = replace(samples.ticket(samples.WORDS[renderer.locale]), facts=(replace(samples.FACTS[0], before=""),))
        assert word in renderer.render_ticket(JIRA, view, {}).body


@pytest.mark.parametrize(
    ("names", "wins"),
    [
        (["words_j2"], "words_j2"),
        (["words_j2", "words__en_j2"], "words__en_j2"),
        (["words_j2", "words__en_j2", "en__words_j2"], "en__words_j2"),
        (["words__zh_j2", "zh__words_j2", "words_j2"], "words_j2"),
    ],
)
def test_the_more_particular_of_a_teams_words_counts(tmp_path: Path, names: list[str], wins: str):
    files = {name: "{% macro owner(name) %}by-" + name.replace("_", "") + "{% endmacro %}" for name in names}
    renderer, heard = team(tmp_path, **files)
    assert f"Owner: by-{wins.replace('_', '')}" in ticket_by(renderer).replace("\\", "")
    assert heard == []


def test_a_teams_layout_is_for_all_languages_and_one_under_a_language_for_that(tmp_path: Path):
    files = {
        "jira__ticket_wiki_j2": "all",
        "zh__jira__ticket_wiki_j2": '{% import "words.j2" as words %}zh {{ words.no_run }}',
    }
    files = {name.replace("_wiki", ".wiki"): text for name, text in files.items()}
    assert ticket_by(team(tmp_path, **files)[0]) == "all"
    assert ticket_by(team(tmp_path, "zh", **files)[0], "zh") == "zh 还没有运行。"


def test_a_team_that_keeps_a_whole_folder_a_language_goes_on(tmp_path: Path):
    """Every layout under `en/`, as Herald's own templates once stood, and words of their own beside them."""
    for name in LAYOUTS:
        (tmp_path / "en" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(our_templates() / name, tmp_path / "en" / name)
    words = (our_templates() / "words" / "en.j2").read_text("utf-8").replace('"Got worse"', '"Regression"')
    renderer, heard = team(tmp_path, en__words_j2=words)
    for name, make, bound, markup in GOLDENS:
        text, ours = (show(each, make(samples.WORDS["en"]), bound, markup) for each in (renderer, ENGLISH))
        assert text == re.sub(r"(?<=[*>])Got\sworse(?=[*<])", "Regression", ours), name
    assert check_overrides(tmp_path) == ()
    assert heard == []


def test_a_template_that_was_changed_is_read_by_the_next_renderer(tmp_path: Path):
    for owner in ("one", "two"):
        renderer, _ = team(tmp_path, words_j2="{% macro owner(name) %}" + owner + "{% endmacro %}")
        assert f"Owner: {owner}" in ticket_by(renderer)


def test_the_sentences_of_the_digest_can_be_replaced_alone(tmp_path: Path):
    lines = (
        '{% set sections = {"needs_you": "A", "better": "B", "watching": "C", "next": "D"} %}'
        "{% macro headline(view) %}Our week{% endmacro %}{% macro line(each, bound) %}{{ each.kind }}{% endmacro %}"
        "{% macro more(count) %}{{ count }}{% endmacro %}"
    )
    renderer, heard = team(tmp_path, digest__lines_j2=lines)
    assert str(renderer.render_digest(SLACK, samples.digest(samples.WORDS["en"]), {})).startswith(
        "tone: bad\nOur week\n\n*A*\n• stand"
    )
    assert heard == []


def test_what_is_broken_in_words_is_told_by_the_file_that_it_stands_in(tmp_path: Path):
    renderer, heard = team(tmp_path, en__words_j2="\n\n{% macro owner(name) %}{{ nobody }}{% endmacro %}")
    assert ticket_by(renderer) == ticket_by(ENGLISH)
    assert heard == [f"{tmp_path}/en/words.j2, line 3: 'nobody' is undefined"]
    renderer, heard = team(tmp_path, en__words_j2="\n{% set nothing = 3 %}\n{% if %}")
    assert ticket_by(renderer) == ticket_by(ENGLISH)
    assert set(heard) == {f"{tmp_path}/en/words.j2, line 3: Expected an expression, got 'end of statement block'"}


def test_what_a_teams_words_break_in_ours_is_told_by_our_file_and_line(tmp_path: Path):
    renderer, heard = team(tmp_path, words_j2="{% set outcomes = {} %}")
    assert ticket_by(renderer) == ticket_by(ENGLISH)
    ours = our_templates() / "words" / "en.j2"
    line = next(n for n, text in enumerate(ours.read_text("utf-8").splitlines(), 1) if "macro judged(row)" in text)
    assert heard == [f"{ours}, line {line}: 'dict object' has no attribute {Outcome.REGRESSED!r}"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("qq/jira/ticket.wiki.j2", "jira/ticket.wiki.j2"),
        ("words/qq.j2", "words/"),
        ("en/words/en.j2", "words/en.j2"),
    ],
)
def test_a_name_that_no_language_reads_is_told(tmp_path: Path, name: str, near: str):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("x")
    (error,) = check_overrides(tmp_path)
    assert f"{tmp_path}/{name}: replaces nothing; the nearest template is " in str(error)
    assert near in str(error)


@pytest.mark.parametrize(
    "name", ["words.j2", "en/words.j2", "words/zh.j2", "zh/digest/lines.j2", "ticket_title.txt.j2"]
)
def test_every_documented_name_replaces_something(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    assert check_overrides(tmp_path) == ()


DIALECTS = {each.suffix: each for each in (WIKI, STORAGE, MRKDWN, MARKDOWN, HTML, PLAIN)}


def _parsed(name: str) -> nodes.Template:
    return TemplateEnvironment(PLAIN, Lookup(ENGLISH.locale, ())).parse((our_templates() / name).read_text("utf-8"))


def _called(node: nodes.Node) -> set[str]:
    return {each.node.name for each in node.find_all(nodes.Call) if isinstance(each.node, nodes.Name)}


def _layouts_of(name: str) -> Iterator[nodes.Template]:
    """Yield a layout, and what it is made of, but for words."""
    tree = _parsed(name)
    yield tree
    for each in tree.find_all((nodes.Import, nodes.FromImport, nodes.Extends, nodes.Include)):
        assert isinstance(each.template, nodes.Const)
        if each.template.value != "words.j2":
            yield from _layouts_of(each.template.value)


def _reached(words: nodes.Template, first: set[str]) -> set[str]:
    """Return every name that these words lead to, by way of other words."""
    macros = {each.name: _called(each) for each in words.find_all(nodes.Macro)}
    reached, waiting = set(first), list(first)
    while waiting:
        more = macros.get(waiting.pop(), set()) - reached
        reached |= more
        waiting += more
    return reached


@pytest.mark.parametrize("locale", locales.known_locales())
def test_every_layout_has_the_constructs_that_its_words_lead_to(locale: Locale):
    words, every = _parsed(f"words/{locale}.j2"), {name for each in DIALECTS.values() for name in each.constructs}
    lacking: list[tuple[str, str]] = []
    for name in (each for each in LAYOUTS if each.removesuffix(".j2").partition(".")[2] in DIALECTS):
        dialect: Dialect = DIALECTS[name.removesuffix(".j2").partition(".")[2]]
        spoken: set[str] = set()
        for tree in _layouts_of(name):
            of_words = {
                each.attr
                for each in tree.find_all(nodes.Getattr)
                if isinstance(each.node, nodes.Name) and each.node.name == "words"
            }
            spoken |= _called(tree) | _reached(words, of_words)
        lacking += [(name, construct) for construct in sorted(spoken & every - set(dialect.constructs))]
    assert lacking == []
