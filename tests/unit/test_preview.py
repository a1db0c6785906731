"""`herald preview`: every text as its readers see it, from samples or the state, on a page of its own."""

from __future__ import annotations

import http.client
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from bot.cli import main
from bot.domain import views
from bot.domain.views import AssigneeView, DigestView, FileView, LabelsView, LinkView
from bot.errors import HeraldError
from bot.preview import guide
from bot.preview.cases import sample_cases
from bot.preview.server import PreviewServer
from bot.preview.stage import Stage, all_readers
from bot.preview.texts import Readers, sheets_of
from bot.render.renderer import JudgedView
from bot.render.templates import our_templates
from bot.store import Database, incidents
from bot.text.locales import Locale, known_locales
from tests.unit import state_samples as state

SAMPLES = Stage(sample_cases, all_readers())
SHARED = {"examples", "lines", "words/en", "words/zh"}  # which others import
ELSEWHERE = {
    "chat/picture",
    "judge/outcome",
    "ticket_title",
    "umbrella_title",
}  # words within texts, and titles on them; pages of HTML


def test_there_is_a_sample_of_every_view_that_a_template_gets():
    unseen = {FileView, LinkView, LabelsView, AssigneeView}  # which no template shows
    shown = {type(case.view) for case in sample_cases(Locale("en"))}
    assert shown == {*get_args(views.View), *get_args(JudgedView)} - unseen


def test_every_template_is_shown_but_those_that_others_import():
    ours = {path.relative_to(our_templates()).as_posix().split(".")[0] for path in our_templates().rglob("*.j2")}
    shown = {name.split(".")[0] for name in SAMPLES.names(Locale("en"))}
    hidden = ours - shown - ELSEWHERE
    assert shown - ours == {"chart"}
    assert {
        name.rpartition("/")[2] if name[:5] != "words" else name
        for name in hidden
        if name.partition("/")[0] not in {"replay", "web"}
    } == SHARED


@pytest.mark.parametrize("reader", ["teams", "feishu", "dingtalk", "wecom", "mail"])
def test_a_message_is_drawn_as_its_channel_draws_it(reader):
    page = SAMPLES.compose(reader, Locale("en"))
    drawn = 'class="letter-subject"' if reader == "mail" else "robot-card robot-card-"
    assert page.count(drawn) == page.count('class="sheet"') > 5
    assert ('src="data:image/png;base64,' in page) is (reader == "mail")  # the one of them that is sent pictures


def test_a_name_that_is_none_is_answered_with_all_there_are():
    with pytest.raises(
        HeraldError, match=r"'feishoo' is no template and no service here; is it feishu\? There are chart,"
    ) as told:
        SAMPLES.choose("feishoo", Locale("en"))
    assert {"teams,", "dingtalk,", "wecom.", "mail,", "slack,", "jira/ticket,"} <= set(str(told.value).split())


@pytest.mark.parametrize("locale", known_locales())
def test_a_page_needs_nothing_from_outside_and_runs_nothing(locale):
    page = SAMPLES.compose("slack/message", locale)
    assert not re.search(r"<script|<link|@import|url\(|src=\"(?!data:)", page)
    assert page.count('class="sheet"') == 7


def test_a_ticket_is_shown_with_its_picture_and_its_markup_and_what_its_view_holds():
    names = {"ticket: got worse", "chart: of what fell"}
    few = Stage(lambda locale: [case for case in sample_cases(locale) if case.name in names], all_readers())
    page = few.compose("jira", Locale("en"))
    assert '<img src="data:image/png;base64,' in page
    assert "h3. Metrics" in page
    assert "<b>verdict</b>" in page


def test_a_text_for_the_one_service_that_it_goes_to_is_shown_as_that_reads_it():
    readers = all_readers()
    comment = next(case for case in sample_cases(Locale("en")) if isinstance(case.view, views.CommentView))
    for only, templates in (
        (readers.trackers[0], ["jira/comment.wiki.j2"]),
        (readers.chats[0], ["slack/reply.mrkdwn.j2"]),
    ):
        assert [each.form.template for each in sheets_of([replace(comment, only=only)], readers)] == templates


@contextmanager
def served(stage: Stage):
    with PreviewServer(stage, "digest", Locale("en")) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def ask(server: PreviewServer, path: str, **headers: str) -> tuple[int, str, str]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    link.request("GET", path, headers=headers)
    answer = link.getresponse()
    text = answer.read().decode()
    link.close()
    return answer.status, text, answer.headers["Content-Security-Policy"]


def test_the_page_is_served_to_who_knows_its_address_and_allows_nothing_else():
    digests = Stage(
        lambda locale: [case for case in sample_cases(locale) if isinstance(case.view, DigestView)], all_readers()
    )
    with served(digests) as server:
        path = urlsplit(server.url)
        assert path.hostname == "127.0.0.1"
        status, page, policy = ask(server, f"{path.path}?{path.query}")
        assert status == 200
        assert "21 runs of 3 pipelines" in page
        assert policy.startswith("default-src 'none'; ")
        assert ask(server, "/")[0] == ask(server, "/word")[0] == 404
        assert ask(server, f"{path.path}?{path.query}", Host="evil.example")[0] == 403
        assert ask(server, f"{path.path}?locale=xx")[0] == 400
        assert "no template and no service" in ask(server, f"{path.path}?what=gira")[1]


def test_a_template_that_is_edited_is_another_word_for_the_browser(tmp_path: Path):
    own = Stage(lambda _locale: (), Readers((), ()), tmp_path)
    with served(own) as server:
        before = ask(server, f"/{server.token}/word")[1]
        assert ask(server, f"/{server.token}/word")[1] == before
        (tmp_path / "words.j2").write_text("{% set nothing = 'void' %}")
        assert ask(server, f"/{server.token}/word")[1] != before


def herald(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["herald", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code in {0, None}


def test_what_the_state_holds_of_an_incident_is_shown_and_no_sample(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        '[store]\nurl = "sqlite:///state.db"\n[mlflow]\ntracking_uri = "sqlite:///mlflow.db"\n'
        '[tracker.jira]\nproject = "REC"\nurl = "https://jira.example"\n'
        '[pipeline.search]\nexperiment = "e"\n[pipeline.search.metrics.ndcg]\n'
    )
    database = Database(f"sqlite:///{tmp_path}/state.db")
    database.migrate()
    with database.begin() as tx:
        incidents.save(tx, state.incident())
    state.owe(database, state.open_ticket(), state.comment("run5"))
    state.owe(database, state.link(), now=state.NOON + timedelta(hours=1))
    database.close()
    herald(monkeypatch, "preview", "--from", state.INCIDENT[:6], "--once", "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "open ticket: 2026-11-24 12:00, pending" in page
    assert "comment ticket: 2026-11-24 12:00, pending" in page
    assert page.count('class="sheet"') == 2
    assert "Next purchase" not in page


def test_the_guide_to_templates_says_what_views_hold_now():
    text = (our_templates() / "README.md").read_text(encoding="utf-8")
    assert guide.rewrite(text) == text, "make reference writes it anew"
    assert "| `interval` | str | 95 %, `-0.0310 to -0.0194` |" in text
