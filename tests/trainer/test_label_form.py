"""The form that people fill in, in a real browser: by keys, across a reload, without a network."""

import os
import shutil

import pytest

from trainer.labelling.pool import Pool
from trainer.labelling.sheet import AnswerScale, write_sheet

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.external_service,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs a browser: apt-get install chromium"),
]

POOL = Pool(("a1", "b2", "c3"), ("lamp", "</script>", "灯"), ("red <b>lamp</b>", "=1+1", "红灯"), ({}, {}, {}), {})


DIGITS = (
    (("0", "1"), {"1": "1", "0": "0"}),  # by their places 1 would answer 0
    (("bad", "good"), {"1": "bad", "2": "good"}),
    (("1", "1.5", "2"), {"1": "1", "2": "2", "3": "1.5"}),
    (("\u0635", "-", "5"), {"1": "\u0635", "2": "-", "5": "5"}),
)


def test_a_digit_answers_with_the_label_that_it_is(tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        for number, (labels, answers) in enumerate(DIGITS):
            folder = tmp_path / str(number)
            folder.mkdir()
            write_sheet(folder, POOL, AnswerScale("classes", labels, 0.0, 1.0, named=True), "en", {}, {})
            page.goto((folder / "form.html").as_uri())
            for key, label in answers.items():
                page.keyboard.press(key)
                page.keyboard.press("k")
                assert page.evaluate("state.labels[sheet.rows[here].id]") == label
                assert page.inner_text(f"label:has(input[value='{label}']) kbd >> nth=0") == key
                page.keyboard.press("Backspace")
                assert page.inner_text("#count") == "0 / 3"
        browser.close()


@pytest.mark.parametrize(("language", "title"), [("en", "Does the product"), ("zh", "这个商品")])
def test_answers_given_by_keys_outlive_a_reload_and_are_downloaded(tmp_path, language, title):
    from playwright.sync_api import sync_playwright

    write_sheet(tmp_path, POOL, AnswerScale("grades", ("1", "2", "3"), 1.0, 3.0, named=False), language, {}, {})
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text))
        page.on("request", lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None)
        page.goto((tmp_path / "form.html").as_uri())
        assert page.inner_text("h1").startswith(title)
        assert page.inner_text(".product >> nth=0") == "red <b>lamp</b>"
        page.click("#download")
        assert page.evaluate("document.activeElement.id") == "rater"  # whoever answers has a name
        page.fill("#rater", "Ann")
        page.click("h1")
        for key in ("3", "j", "1"):
            page.keyboard.press(key)
        page.wait_for_timeout(500)  # a browser's other process keeps what a page stores, a little later
        page.reload()
        assert page.inner_text("#count") == "2 / 3"
        with page.expect_download() as download:
            page.click("#download")
        rows = download.value.path().read_text(encoding="utf-8-sig").split()
        browser.close()
    assert rows == ["id,label,rater", '"a1","3","Ann"', '"c3","1","Ann"']
    assert complaints == []
