"""What every wiki promises."""

from __future__ import annotations

import pytest

from bot.errors import PermanentError, RetryableError
from bot.ports import Attachment, PageDraft
from tests.contract.benches import WikiBench

DRAFT = PageDraft("Run 4 of next-purchase (1f2e3d)", "<h2>Verdict</h2><p>It fell.</p>", labels=("herald",))
FILE = Attachment("history-1f2e3d.png", b"\x89PNG" + bytes(60), "image/png")
HOSTILE = "a]]&gt;b &lt;script&gt;alert(1)&lt;/script&gt; {code} [~admin] 🙂 \u202e &amp;nbsp; é"


def published(bench: WikiBench) -> str:
    return bench.wiki.create(DRAFT).page_id


def test_a_page_is_created_and_found_by_its_title(wiki_bench: WikiBench):
    made = wiki_bench.wiki.create(DRAFT)
    assert made.title == DRAFT.title
    assert made.url
    assert wiki_bench.wiki.find(DRAFT.title) == made
    assert "<p>It fell.</p>" in wiki_bench.see(made.page_id).storage
    assert wiki_bench.see(made.page_id).labels == set()
    assert wiki_bench.count_writes() in (1, None)


def test_what_was_not_created_is_not_found(wiki_bench: WikiBench):
    published(wiki_bench)
    assert wiki_bench.wiki.find("Run 4 of next-purchase") is None


def test_creating_a_page_twice_makes_one(wiki_bench: WikiBench):
    assert wiki_bench.wiki.create(DRAFT) == wiki_bench.wiki.create(DRAFT)


def test_a_page_can_be_made_under_another(wiki_bench: WikiBench):
    above = published(wiki_bench)
    below = wiki_bench.wiki.create(PageDraft("Run 5", "<p/>", parent_id=above))
    assert below.page_id != above


def test_labels_are_added_to_those_that_are_there(wiki_bench: WikiBench):
    page = published(wiki_bench)
    wiki_bench.wiki.label(page, ["herald-team-1", "ranking"])
    wiki_bench.wiki.label(page, ["ranking", "next-purchase"])
    assert wiki_bench.see(page).labels == {"herald-team-1", "ranking", "next-purchase"}
    assert wiki_bench.count_writes() in (3, None)


def test_a_file_is_attached_and_replaced(wiki_bench: WikiBench):
    page = published(wiki_bench)
    wiki_bench.wiki.attach(page, FILE)
    wiki_bench.wiki.attach(page, Attachment(FILE.filename, FILE.content + b"more", FILE.media_type))
    wiki_bench.wiki.attach(page, Attachment("other.txt", b"x", "text/plain"))
    assert wiki_bench.see(page).files == {FILE.filename: len(FILE.content) + 4, "other.txt": 1}
    assert wiki_bench.count_writes() in (4, None)


def test_a_section_is_replaced_and_what_people_wrote_stays(wiki_bench: WikiBench):
    page = published(wiki_bench)
    wiki_bench.wiki.replace_section(page, "<p>one</p>")
    storage = wiki_bench.see(page).storage
    wiki_bench.rewrite(page, f"<p>Dear team,</p>{storage}<p>yours, Ada</p>")
    wiki_bench.wiki.replace_section(page, "<p>two &eacute;</p>")
    after = wiki_bench.see(page).storage
    assert "one" not in after
    assert after.index("Dear team") < after.index("It fell") < after.index("two ") < after.index("yours, Ada")


def test_a_section_that_did_not_change_is_not_written(wiki_bench: WikiBench):
    page = published(wiki_bench)
    section = (
        '<p>a &nbsp;&eacute; &quot;b&quot;</p><ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">'
        'labels = "m"</ac:parameter></ac:structured-macro>'
    )
    wiki_bench.wiki.replace_section(page, section)
    before = wiki_bench.see(page)
    wiki_bench.wiki.replace_section(page, section)
    assert wiki_bench.see(page) == before
    assert wiki_bench.count_writes() in (2, None)


def test_anchors_that_were_deleted_are_appended_again(wiki_bench: WikiBench):
    page = published(wiki_bench)
    wiki_bench.wiki.replace_section(page, "<p>one</p>")
    wiki_bench.rewrite(page, "<p>all mine now</p>")
    wiki_bench.wiki.replace_section(page, "<p>two</p>")
    after = wiki_bench.see(page).storage
    assert after.index("all mine now") < after.index("two")


def test_hostile_text_passes_through(wiki_bench: WikiBench):
    page = wiki_bench.wiki.create(PageDraft("<b> & [~admin] 🙂", f"<p>{HOSTILE}</p>"))
    assert wiki_bench.wiki.find("<b> & [~admin] 🙂") == page
    wiki_bench.wiki.replace_section(page.page_id, f"<p>{HOSTILE}</p>")
    assert "<script" not in wiki_bench.see(page.page_id).storage


@pytest.mark.parametrize("committed", [True, False])
def test_a_create_that_breaks_off_is_doubtful_and_the_title_tells(wiki_bench: WikiBench, committed: bool):
    wiki_bench.fail_next("create", committed=committed)
    with pytest.raises(RetryableError) as caught:
        published(wiki_bench)
    assert caught.value.doubtful
    assert (wiki_bench.wiki.find(DRAFT.title) is not None) is committed
    assert wiki_bench.count_writes() in (1, None)


@pytest.mark.parametrize("committed", [True, False])
def test_what_is_repeated_after_breaking_off_is_there_once(wiki_bench: WikiBench, committed: bool):
    page = published(wiki_bench)
    acts = {
        "label": lambda: wiki_bench.wiki.label(page, ["a"]),
        "attach": lambda: wiki_bench.wiki.attach(page, FILE),
        "replace_section": lambda: wiki_bench.wiki.replace_section(page, "<p>one</p>"),
    }
    for method, act in acts.items():
        wiki_bench.fail_next(method, committed=committed)
        with pytest.raises(RetryableError) as caught:
            act()
        assert caught.value.doubtful
        act()
    seen = wiki_bench.see(page)
    assert (seen.labels, set(seen.files), seen.storage.count("<p>one</p>")) == ({"a"}, {FILE.filename}, 1)


@pytest.mark.parametrize("bad", ["<p>", "<p>&undefined;</p>"])
def test_trap_8_a_page_that_does_not_parse_is_refused(wiki_bench: WikiBench, bad: str):
    with pytest.raises(PermanentError):
        wiki_bench.wiki.create(PageDraft("Broken", bad))
    assert wiki_bench.wiki.find("Broken") is None


@pytest.mark.parametrize(
    "act",
    [
        lambda wiki: wiki.label("999999", ["a"]),
        lambda wiki: wiki.attach("999999", FILE),
        lambda wiki: wiki.replace_section("999999", "<p/>"),
    ],
    ids=["label", "attach", "replace_section"],
)
def test_a_page_that_is_not_there_takes_nothing(wiki_bench: WikiBench, act):
    with pytest.raises(PermanentError) as caught:
        act(wiki_bench.wiki)
    assert caught.value.status == 404
