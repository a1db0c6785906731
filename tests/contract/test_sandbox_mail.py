"""Letters are shown by the stand-in for a mail server, which refuses in its own words what a real one would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from bot.domain.message import Picture
from bot.domain.objects import ObjectKey, ObjectKind, channel_of
from bot.errors import PermanentError, RetryableError
from bot.preview import samples
from bot.sandbox import RunningSandbox, Service, serve
from bot.services.mail.config import MailSection
from tests.contract.robot_benches import mail_chat
from tests.unit.golden_files import RENDERERS

TO = "ranking@example.com, plan@example.com"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with serve(None) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    running.calm()
    return running


def letter(language: Any) -> Any:
    words = samples.WORDS[language]
    rendered = RENDERERS[language].render_message(MailSection.text_form, samples.message(words), samples.BOUND)
    return replace(rendered, cause=language, pictures=(Picture("history-1f2e.png", b"\x89PNG fine"),))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_letter_is_shown_with_its_text_its_html_and_its_chart(sandbox, language):
    mail_chat(sandbox).post(TO, "house-abc", letter(language))
    base = f"{sandbox.url}/{Service.MAIL}"
    page = requests.get(f"{base}/", timeout=5).text
    newest = page.split("<article")[1]
    assert "to ranking@example.com, plan@example.com" in newest
    assert samples.WORDS[language].pipeline in newest
    number = newest.split('href="letters/')[1].split('"')[0]
    html = requests.get(f"{base}/letters/{number}", timeout=5)
    assert "cid:" not in html.text
    assert "img-src 'self'" in html.headers["Content-Security-Policy"]
    picture = requests.get(f"{base}/letters/{number}/history-1f2e.png", timeout=5)
    assert picture.content == b"\x89PNG fine"


def test_an_address_that_is_nobodys_is_refused(sandbox):
    sandbox.change(Service.MAIL, unknown=["plan@example.com"])
    with pytest.raises(PermanentError, match=r"plan@example.com \(550\): 5.1.1 .*User unknown"):
        mail_chat(sandbox).post(TO, "house-abc", letter("en"))


def test_a_server_that_greylists_and_one_that_takes_no_large_letters(sandbox):
    sandbox.change(Service.MAIL, greylists=True)
    with pytest.raises(RetryableError, match="Greylisted") as caught:
        mail_chat(sandbox).post(TO, "house-abc", letter("en"))
    assert (caught.value.doubtful, caught.value.retry_after) == (False, 300)
    sandbox.change(Service.MAIL, greylists=False, size_limit=500)
    with pytest.raises(PermanentError, match="552"):
        mail_chat(sandbox).post(TO, "house-abc", letter("en"))


def test_a_channel_may_be_several_addresses_with_spaces_between_them():
    assert channel_of(ObjectKey("mail", ObjectKind.MESSAGE, f"{TO} house-abc")) == TO
