"""The pages in a real browser: from the link in the digest to where it fell, with scripts and without."""

from __future__ import annotations

import os
import shutil

import pytest

from bot.web.ways import asset

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.external_service,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs a browser: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


def test_a_person_comes_from_the_digest_to_the_guilty_part_in_three_clicks(house, browser):
    complaints: list[str] = []
    with house.pages() as client:
        at = str(client.base_url).rstrip("/")
        for with_scripts in (True, False):
            context = browser.new_context(java_script_enabled=with_scripts, locale="en-GB")
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            page.on(
                "request", lambda asked: None if asked.url.startswith((at, "data:")) else complaints.append(asked.url)
            )
            page.goto(f"{at}/digests/{house.digest}")  # as the digest's message links to it
            page.locator("li", has_text="Search relevance").get_by_role("link", name="Look").click()
            assert "Search relevance: Ranking quality fell" in page.inner_text("h1")
            page.locator(".go").get_by_role("link", name="Where it fell").click()
            assert "PRODUCE" in page.inner_text("tbody tr:first-child")
            if with_scripts:
                page.go_back()
                drawing = page.locator("svg.history").first
                box = drawing.bounding_box()
                page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 40)
                assert "nightly 8" in page.inner_text(".tip")
                assert "negatives = 8" in page.inner_text(".tip")
                before = page.locator("svg.history path.run").first.get_attribute("d")
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
                page.mouse.down()
                page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 60)
                page.mouse.up()
                assert page.locator("svg.history path.run").first.get_attribute("d") != before
                page.locator("input[data-bands]").uncheck()
                assert not page.locator("svg.history .band").first.is_visible()
            context.close()
    assert complaints == []


def test_a_name_without_a_break_pushes_no_number_out_of_sight(browser):
    style, name = asset("style.css").decode(), "n" * 300
    cells = f'<th scope="row">{name}</th>' + '<td class="n">0.1234</td>' * 4
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_content(f'<style>{style}</style><div class="scroll"><table><tbody><tr>{cells}</tr></tbody></table></div>')
    hidden = page.eval_on_selector(".scroll", "box => box.scrollWidth - box.clientWidth")
    page.close()
    assert hidden == 0
