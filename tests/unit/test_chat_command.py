"""`herald chat test`: one message a channel, and where it stands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service, serve
from tests.contract.benches import slack_chat

CONFIG = """
[chat.slack]
kind = "slack"
url = "{slack}"
[pipeline.search]
experiment = "search"
chat = "slack"
channel = "#search-quality"
locale = "{locale}"
[pipeline.search.metrics.ndcg]
"""


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with serve(None) as running:
        yield running


def herald(box: RunningSandbox, folder: Path, *arguments: str, locale: str = "en", code: int = 0) -> str:
    text = CONFIG.format(slack=box.slack_url, locale=locale)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    done = CliRunner(env={"HERALD_CHAT__SLACK__TOKEN": box.slack_token}).invoke(
        app, ["chat", "test", *arguments, "--config", str(folder / "config.toml")]
    )
    assert done.exit_code == code, done.output
    return done.output + str(done.exception or "")


@pytest.mark.parametrize(("locale", "words"), [("en", "A test message from Herald"), ("zh", "Herald 的测试消息")])
def test_one_message_is_posted_and_its_address_said(box: RunningSandbox, tmp_path: Path, locale: str, words: str):
    before = len(slack_chat(box).see())
    said = herald(box, tmp_path, locale=locale)
    assert "slack #search-quality: posted, http" in said
    assert [each.text for each in slack_chat(box).see()][before:] == [words]


@pytest.mark.parametrize(("fault", "stands"), [(FaultKind.DROP_AFTER, 1), (FaultKind.DROP_BEFORE, 0)])
def test_a_message_whose_end_is_in_doubt_is_not_posted_again(
    box: RunningSandbox, tmp_path: Path, fault: FaultKind, stands: int
):
    before = len(slack_chat(box).see())
    box.strike(Fault(fault, Service.SLACK, path="chat.postMessage"))
    assert "may or may not have been posted" in herald(box, tmp_path, code=1)
    assert len(slack_chat(box).see()) - before == stands


def test_a_channel_that_is_not_there_is_named_with_what_to_do(box: RunningSandbox, tmp_path: Path):
    said = herald(box, tmp_path, "slack", "--channel", "#nowhere", code=1)
    assert "slack #nowhere: failed." in said
    assert "Check the channel" in said


def test_a_chat_that_config_does_not_have_is_named_with_those_it_has(box: RunningSandbox, tmp_path: Path):
    assert "there is no chat 'teams'; the configuration has slack" in herald(box, tmp_path, "teams", code=1)


def test_shells_can_complete_what_is_typed():
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).output
