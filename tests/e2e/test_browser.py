"""The pages of the sandbox in a real browser, after a real drop: what a person would read there."""

import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from bot.app import make_herald
from bot.config.file import load_config
from bot.sandbox import serve

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.external_service,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs a browser: apt-get install chromium"),
]

CONFIG = """
instance = "browser"
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
[tracker.jira]
url = "{jira}"
email = "{email}"
project = "SR"
[wiki.confluence]
url = "{confluence}"
email = "{email}"
space = "SR"
[chat.slack]
kind = "slack"
url = "{slack}"
[pipeline.search]
title = "Search relevance"
owner = "Ada Okafor"
experiment = "search"
tracker = "jira"
wiki = "confluence"
chat = "slack"
channel = "{channel}"
publish = "all"
[pipeline.search.metrics.ndcg_at_10]
name.en = "Ranking quality"
why.en = "Good products belong where people look."
"""

HOSTILE = "<script>alert(1)</script> {code} *bold* <!channel>"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Five runs of a plain program, two of them bad, told to a running sandbox."""
    folder = tmp_path_factory.mktemp("browser")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("search", artifact_location=str(folder / "artifacts"))
    began = datetime.now(UTC) - timedelta(hours=5)
    for number, value in enumerate((0.412, 0.409, 0.414, 0.301, 0.305)):
        start = int((began + timedelta(minutes=30 * number)).timestamp() * 1000)
        run = client.create_run(experiment, start_time=start, run_name=f"nightly {number}")
        client.log_metric(run.info.run_id, "ndcg_at_10", value)
        client.log_param(run.info.run_id, "note", HOSTILE if number >= 3 else "as usual")
        client.set_terminated(run.info.run_id, end_time=start + 60_000)
    with serve(folder / "sandbox.db") as sandbox, pytest.MonkeyPatch.context() as patch:
        for key in ("TRACKER__JIRA", "WIKI__CONFLUENCE"):
            patch.setenv(f"HERALD_{key}__TOKEN", sandbox.api_token)
        patch.setenv("HERALD_CHAT__SLACK__TOKEN", sandbox.slack_token)
        (folder / "config.toml").write_text(
            CONFIG.format(
                jira=sandbox.jira_cloud_url,
                confluence=sandbox.confluence_cloud_url,
                slack=sandbox.slack_url,
                email=sandbox.email,
                channel=sandbox.channel_id,
            )
        )
        herald = make_herald(load_config(folder / "config.toml"), folder)
        herald.cycle("search").run(datetime.now(UTC))
        assert herald.dispatcher.drain(timedelta(seconds=30)).failures == []
        yield sandbox
        herald.database.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    complaints = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield opened
    context.close()
    assert complaints == []


def test_the_index_leads_to_every_service(page, told):
    page.goto(told.url)
    text = page.inner_text("body")
    for service in ("Jira", "Confluence", "Slack"):
        assert service in text


def test_the_ticket_says_what_fell_by_how_much_and_where_to_look(page, told):
    page.goto(f"{told.jira_cloud_url}/browse/SR-1")
    text = page.inner_text("body")
    assert "Search relevance: Ranking quality fell by 25.9" in page.inner_text("h1").replace("\u2060", "")
    assert "Good products belong where people look." in text
    assert "from 0.4117 to 0.3050" in text
    assert "Ada Okafor" in text
    assert HOSTILE.split("{", maxsplit=1)[0].strip() in text.replace("\u2060", "")  # as text, not as a script
    pictures = page.locator("img[src*='history-']")
    assert pictures.first.evaluate("picture => picture.naturalWidth") > 400
    page.get_by_role("link", name="Search relevance: nightly 4").first.click()
    assert "Search relevance: nightly 4" in page.inner_text("h1")


def test_the_report_shows_verdict_table_chart_and_the_ticket(page, told):
    page.goto(f"{told.jira_cloud_url}/browse/SR-1")
    page.get_by_role("link", name="Search relevance: nightly 4").first.click()
    text = page.inner_text("main")
    assert "fell by 25.9" in text
    assert "95 % interval" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "SR-1" in text, "the macro over the marker's label finds the ticket"
    assert page.locator("main img[src*='history-']").first.evaluate("picture => picture.naturalWidth") > 400
    page.get_by_role("link", name="Search relevance (Herald browser)").first.click()
    assert page.inner_text("main").count("nightly") >= 5


def test_the_channel_shows_one_message_with_links_to_both(page, told):
    page.goto(f"{told.url}/slack/archives/{told.channel_id}")
    text = page.inner_text("body").replace("\u2060", "")
    assert text.count("Search relevance: Ranking quality fell by 25.9") == 1
    page.get_by_role("link", name="SR-1").first.click()
    assert "/browse/SR-1" in page.url
