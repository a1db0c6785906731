"""Herald's section of a page is found whatever Confluence made of it, and what people wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bot.errors import PermanentError
from bot.services.page_sections import check_storage, replace_section

BEGIN = (
    '<ac:structured-macro ac:name="anchor"><ac:parameter ac:name="">herald-begin</ac:parameter></ac:structured-macro>'
)
END = BEGIN.replace("begin", "end")
# as Confluence gives it back: an id, a schema version, attributes in another order, wrapped in a paragraph
NORMALISED_BEGIN = (
    '<p><ac:structured-macro ac:macro-id="8f1e" ac:name="anchor" ac:schema-version="1">'
    '<ac:parameter ac:name="">herald-begin</ac:parameter></ac:structured-macro></p>'
)
NORMALISED_END = NORMALISED_BEGIN.replace("begin", "end").replace("8f1e", "77ab")


def section_of(storage: str) -> str:
    return storage[storage.index("herald-begin") : storage.index("herald-end")]


def test_a_page_without_anchors_gets_the_section_at_its_end():
    written = replace_section("<p>Ours since 2019</p>", "<p>new</p>")
    assert written == f"<p>Ours since 2019</p>{BEGIN}<p>new</p>{END}"


def test_an_empty_page_gets_the_section():
    assert replace_section("", "<p>new</p>") == f"{BEGIN}<p>new</p>{END}"


def test_writing_the_same_section_twice_changes_nothing():
    written = replace_section("<p>x</p>", "<h2>History</h2><p>a &amp; b</p>")
    assert written is not None
    assert replace_section(written, "<h2>History</h2><p>a &amp; b</p>") is None


def test_what_people_wrote_around_the_section_stays():
    page = f"<p>Before &nbsp;<b>bold</b></p>{BEGIN}<p>old</p>{END}<ul><li>after</li></ul>tail"
    written = replace_section(page, "<p>new</p>")
    assert written is not None
    assert "<p>old</p>" not in written
    assert written.startswith("<p>Before \N{NO-BREAK SPACE}<b>bold</b></p>")
    assert written.endswith("<ul><li>after</li></ul>tail")


def test_text_of_people_beside_an_anchor_stays():
    page = f"<p>note {BEGIN}</p><p>old</p><p>{END} thanks</p>"
    assert replace_section(page, "<p>new</p>") == f"<p>note {BEGIN}</p><p>new</p><p>{END} thanks</p>"


def test_the_section_is_found_after_confluence_normalised_it():
    page = f"<p>Hi</p>{NORMALISED_BEGIN}<p>old</p>{NORMALISED_END}<p>bye</p>"
    written = replace_section(page, "<p>new</p>")
    assert written == f"<p>Hi</p>{NORMALISED_BEGIN}<p>new</p>{NORMALISED_END}<p>bye</p>"


def test_a_section_that_only_confluence_rewrote_is_left_alone():
    ours = '<ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">labels = "m" &amp;</ac:parameter></ac:structured-macro><p>caf&eacute;</p>'
    theirs = (
        '\n<ac:structured-macro ac:schema-version="1" ac:macro-id="aa" ac:name="jira"><ac:parameter ac:name="jqlQuery">'
        'labels = &quot;m&quot; &#38;</ac:parameter></ac:structured-macro>\n<p local-id="4">café</p>\n'
    )
    assert replace_section(f"{NORMALISED_BEGIN}{theirs}{NORMALISED_END}", ours) is None


def test_a_change_of_one_word_is_seen():
    assert replace_section(f"{BEGIN}<p>one <b>two</b> three</p>{END}", "<p>one <b>two</b> four</p>") is not None


def test_text_straight_behind_the_anchor_belongs_to_the_section():
    assert replace_section(f"<p>x</p>{BEGIN}old{END}y", "<p>new</p>") == f"<p>x</p>{BEGIN}<p>new</p>{END}y"


@pytest.mark.parametrize("page", [f"<p>a</p>{BEGIN}<p>old</p>", f"<p>a</p>{END}", f"{END}<p>a</p>{BEGIN}"])
def test_deleted_anchors_are_appended_again_once(page: str):
    written = replace_section(page, "<p>new</p>")
    assert written is not None
    assert written.count("herald-begin") == written.count("herald-end") == 1
    assert "new" in section_of(written)
    assert "<p>a</p>" in written
    assert replace_section(written, "<p>new</p>") is None


def test_a_page_with_a_layout_keeps_it():
    page = (
        "<ac:layout><ac:layout-section ac:type='single'><ac:layout-cell><p>x</p></ac:layout-cell></ac:layout-section>"
        "</ac:layout>"
    )
    written = replace_section(page, "<p>new</p>")
    assert written is not None
    assert written.endswith(f"<p>x</p>{BEGIN}<p>new</p>{END}</ac:layout-cell></ac:layout-section></ac:layout>")
    assert replace_section(written, "<p>new</p>") is None


def test_code_that_people_keep_in_cdata_stays_as_it_is():
    code = "<ac:plain-text-body><![CDATA[if (a && b < c) { return &nbsp;; }]]></ac:plain-text-body>"
    macro = f'<ac:structured-macro ac:name="code">{code}</ac:structured-macro>'
    written = replace_section(macro, "<p>new</p>")
    assert written is not None
    assert written.startswith(macro)


def test_an_empty_section_can_be_written_and_filled_again():
    emptied = replace_section(f"{BEGIN}<p>old</p>{END}", "")
    assert emptied == BEGIN + END
    assert replace_section(emptied, "") is None
    assert replace_section(emptied, "<p>x</p>") == f"{BEGIN}<p>x</p>{END}"


@pytest.mark.parametrize(
    "bad", ["<p>", "<p>&undefined;</p>", "<ac:x></ac:y>", "a\x00b", "<p a=1/>", "<page></page></page>"]
)
def test_trap_8_what_is_not_well_formed_is_refused_before_it_is_sent(bad: str):
    with pytest.raises(PermanentError, match="not well-formed"):
        replace_section("<p/>", bad)
    with pytest.raises(PermanentError, match="not well-formed"):
        check_storage(bad)


people = st.recursive(
    st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), min_size=1).map(
        lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"<p>{''.join(parts)}</p>"),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine says nothing about the code
@given(people, people, people, people)
def test_a_section_can_be_replaced_between_anything(before: str, old: str, new: str, after: str):
    page = f"{before}{NORMALISED_BEGIN}{old}{NORMALISED_END}{after}"
    written = replace_section(page, new)
    if written is not None:
        assert replace_section(written, new) is None
        expected = f"{before}{NORMALISED_BEGIN}{new}{NORMALISED_END}{after}"
        assert canonical(written) == canonical(expected)


def canonical(storage: str) -> bytes:
    return etree.tostring(etree.fromstring(f"<r xmlns:ac='http://ac'>{storage}</r>"), method="c14n")
