"""Of a comment only what was said is read: no quotation, no code, no panel, in any markup."""

from __future__ import annotations

import json
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.comment_lines import Markup, said_lines

S = "\ufffc"
WHY = "/herald why"


def said(body: str, markup: Markup) -> list[str]:
    return [line.replace(S, "") for line in said_lines(body, markup)]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("We know it.\n/herald why", ["We know it.", WHY]),
        ("We know it.\r\n/herald why\r\n", ["We know it.", WHY]),
        ("a\\\\/herald why", ["a", WHY]),
        ("{color:#172b4d}/herald why{color}", [WHY]),
        ("*/herald why*", [WHY]),
        ("\\*/herald why\\*", []),
        ("/herald fixed hit\\_rate \\[x\\] 3 &amp; 4 &#92;", ["/herald fixed hit_rate [x] 3 & 4 \\"]),
        ("/herald fixed see [SR-1|http://sr.example] and {{x=1}}", ["/herald fixed see SR-1 and x=1"]),
        ("* one\n* two\n/herald why", [WHY]),
        ("bq. they asked\n/herald why", [WHY]),
        ("bq. they asked\\\\/herald why", []),
        ("bq. /herald why", []),
        ("* /herald why", []),
        ("# /herald why", []),
        ("- /herald why", []),
        ("h3. /herald why", []),
        ("|| a || b ||\n| /herald why | x |\n/herald rules", ["/herald rules"]),
        ("| a\n/herald why\n|\n/herald rules", ["/herald rules"]),
        ("/herald fixed {*}a{*}b and {{{}x{}}}", ["/herald fixed ab and x"]),
        ("{{/herald why}}", []),
        ("{{{}/herald why{}}}", []),
        ("{-}/herald why{-}", ["{-}/herald why{-}"]),
        ("{{a\\\\/herald why}}", []),
        ("[/herald why|http://sr.example]", []),
        ("[~wei] /herald why", []),
        ("\\/herald why", ["\\/herald why"]),
        ("&#47;herald why", ["&#47;herald why"]),
        ("{quote}\n/herald why\n{quote}", []),
        ("{quote}\n/herald why\n{quote}\n/herald rules", ["/herald rules"]),
        ("{quote}x{quote}/herald why", []),
        ("{quote}\n/herald why", []),
        ("\\{quote}\n/herald why\n\\{quote}", ["{quote}", WHY, "{quote}"]),
        ("\\\\{quote}\n/herald why\n{quote}", []),
        ("{QUOTE}\n/herald why\n{QUOTE}", []),
        ("{code:title=x|borderStyle=solid}\n/herald why\n{code}", []),
        ("{noformat}\n{quote}\n{noformat}\n/herald why", [WHY]),
        ("{quote}\n{code}\n{quote}\n{code}\n/herald why\n{quote}", []),
        ("{panel:title=a}{quote}{panel}\n/herald why\n{quote}", []),
        ("{panel:title=a}\n{panel:title=b}\n{panel}\n/herald why\n{panel}", []),
        ("{quote}\n{quote}\n/herald why\n{quote}\n{quote}", []),
        ("{quote}a{quote}\n/herald why\n{quote}b{quote}", [WHY]),
        ("{expand:more}\n/herald why\n{expand}", []),
        ("{info}/herald why{info}", []),
        ("{unheard_of}\n/herald why\n{unheard_of}", []),
        ("we set {alpha} to 3\n/herald why", ["we set {alpha} to 3", WHY]),
        ("> /herald why", []),
        ("On Mon, 23 Nov 2026, Wei wrote:\n> /herald why\n\n/herald rules", ["On Mon, 23 Nov 2026, Wei wrote:", "/herald rules"]),
        ("On Mon, 23 Nov 2026, Wei wrote:\n/herald why", ["On Mon, 23 Nov 2026, Wei wrote:"]),
        ("thanks\n-----Original Message-----\n/herald why", ["thanks"]),
        ("谢谢\n2026年11月23日，张伟写道：\n/herald why", ["谢谢", "2026年11月23日，张伟写道："]),
        ("thanks\nFrom: Wei\nSent: Monday\n/herald why", ["thanks"]),
        ("From: 0.40\nTo: 0.38\n/herald why", ["From: 0.40", "To: 0.38", WHY]),  # numbers, and no mail
        ("```\n/herald why\n```\n/herald rules", ["/herald rules"]),
        ("<!-- a\n/herald why\n-->\n/herald rules", ["<!-- a", "/herald rules"]),
        ("<blockquote>\n/herald why\n</blockquote>", ["<blockquote>"]),
        ("hello\u2028/herald why", ["hello\u2028/herald why"]),
    ],
)  # fmt: skip
def test_of_wiki_markup(body, lines):
    assert said(body, Markup.WIKI) == lines


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("We know it.\n/herald why", ["We know it.", WHY]),
        ("**/herald why**", [WHY]),
        ("/herald fixed hit\\_rate `x` and *y*", ["/herald fixed hit_rate x and y"]),
        ("- one\n- two\n/herald why", [WHY]),
        ("- one\n  /herald why", []),
        ("- /herald why", []),
        ("1. /herald why", []),
        ("# /herald why", []),
        ("/herald why\n===", []),
        ("> they asked\n\n/herald why", [WHY]),
        ("> they asked\n/herald why", []),  # a quotation goes on, by CommonMark's rule
        ("> /herald why", []),
        ("`/herald why`", []),
        ("```\n/herald why\n```", []),
        ("~~~\n/herald why", []),
        ("    /herald why", []),
        ("\\/herald why", []),
        ("&#47;herald why", []),
        ("&sol;herald why", []),
        ("~~/herald why~~", []),
        ("[/herald why](http://sr.example)", []),
        ("![/herald why](http://sr.example)", []),
        ("[x]: /herald 'why'", []),
        ("a | b\n--- | ---\n/herald why | c", []),
        ("<!--\n/herald why\n-->", []),
        ("<p>\n/herald why\n</p>", []),
        ("[a\n/herald why](http://sr.example)", []),
        ("~~a\n/herald why~~", []),
        ("<b>/herald why</b>", []),
        ("<details>\n\n/herald why\n\n</details>\n\n/herald rules", ["/herald rules"]),
        ("text `a\n/herald why\nb`", ["text a /herald why b"]),
    ],
)
def test_of_markdown(body, lines):
    assert said(body, Markup.MARKDOWN) == lines


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("We know it.\n /herald why", ["We know it.", " " + WHY]),  # Slack keeps a line from itself that has no space
        ("*/herald why*", [WHY]),
        ("/herald fixed 3 &amp; 4 &lt; 5 <@U1> `x`", ["/herald fixed 3 & 4 < 5 @U1 x"]),
        ("&gt; /herald why", []),
        ("&gt;&gt;&gt; they asked\n/herald why", []),
        ("```/herald why```", []),
        ("```\n/herald why\n```\n/herald rules", ["/herald rules"]),
        ("```\n/herald why", []),
        ("`/herald why`", []),
        ("~/herald why~", []),
        ("<http://sr.example|/herald why>", []),
        ("• /herald why", ["• /herald why"]),
    ],
)
def test_of_mrkdwn(body, lines):
    assert said(body, Markup.MRKDWN) == lines


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("<p>We know it.<br/>/herald why</p>", ["We know it.", WHY]),
        ("<p>/herald fixed 3 &amp; 4 <em>x</em></p>", ["/herald fixed 3 & 4 x"]),
        ('<p>/herald accept until <time datetime="2027-01-31"/> known</p>', ["/herald accept until 2027-01-31 known"]),
        ('<p><span style="color: red">/herald why</span></p>', [WHY]),
        ('<p><span style="display: none">/herald why</span></p>', []),
        ("<p><code>/herald why</code></p>", []),
        ("<p><s>/herald why</s></p>", []),
        ("<p><!-- x -->/herald why</p>", []),
        ("<p>a\n/herald why</p>", ["a /herald why"]),
        ("<ul><li><p>/herald why</p></li></ul>", []),
        ("<h2>/herald why</h2>", []),
        ("<table><tbody><tr><td><p>/herald why</p></td></tr></tbody></table>", []),
        ("<blockquote><p>/herald why</p></blockquote><p>/herald rules</p>", ["/herald rules"]),
        ('<ac:structured-macro ac:name="info"><ac:rich-text-body><p>/herald why</p></ac:rich-text-body></ac:structured-macro>', []),
        ('<ac:link><ri:page ri:content-title="x"/><ac:link-body>/herald why</ac:link-body></ac:link>', []),
        ("<p>/herald why", []),  # not well-formed
    ],
)  # fmt: skip
def test_of_storage_format(body, lines):
    assert said(body, Markup.STORAGE) == lines


def text(words: str, *marks: str) -> dict[str, object]:
    return {"type": "text", "text": words, "marks": [{"type": mark} for mark in marks]}


def paragraph(*content: object) -> dict[str, object]:
    return {"type": "paragraph", "content": list(content)}


def within(kind: str, *content: object) -> dict[str, object]:
    return {"type": kind, "content": list(content)}


BREAK = {"type": "hardBreak"}
DATE = {"type": "date", "attrs": {"timestamp": "1801353600000"}}


@pytest.mark.parametrize(
    ("nodes", "lines"),
    [
        ([paragraph(text("We know it.")), paragraph(text(WHY))], ["We know it.", WHY]),
        ([paragraph(text("We know it."), BREAK, text(WHY))], ["We know it.", WHY]),
        ([paragraph(text("/her"), text("ald why", "strong", "textColor"))], [WHY]),
        ([paragraph(text("/herald accept until "), DATE, text(" x"))], ["/herald accept until 2027-01-31 x"]),
        ([paragraph(text(WHY, "code"))], []),
        ([paragraph(text(WHY, "strike"))], []),
        ([paragraph(text(WHY, "link"))], []),
        ([paragraph(text("a\n/herald why"))], ["a /herald why"]),  # no break, whatever it looks like
        ([paragraph({"type": "mention", "attrs": {"text": "@wei"}}, text(WHY))], []),
        ([within("codeBlock", text(WHY)), paragraph(text("/herald rules"))], ["/herald rules"]),
        ([within("blockquote", paragraph(text(WHY)))], []),
        ([within("panel", paragraph(text(WHY)))], []),
        ([within("expand", within("nestedExpand", paragraph(text(WHY))))], []),
        ([within("heading", text(WHY))], []),
        ([within("bulletList", within("listItem", paragraph(text(WHY))))], []),
        ([within("table", within("tableRow", within("tableCell", paragraph(text(WHY)))))], []),
        ([paragraph(text("> /herald why"))], []),
        ([paragraph(text("```")), paragraph(text(WHY)), paragraph(text("```"))], []),
    ],
)
def test_of_documents(nodes, lines):
    assert said(json.dumps({"type": "doc", "version": 1, "content": nodes}), Markup.ADF) == lines


@pytest.mark.parametrize(
    "body", ["", "no document", "[1", "null", '{"content": 3}', "[" * 50_000, '{"content": [3, {"type": []}]}']
)
def test_of_what_is_no_document_nothing_was_said(body):
    assert said_lines(body, Markup.ADF) == ()


MARKS = [
    *"{}[]()<>|!*_~`\\/&#-+=:;\"'\n\r ",
    "{quote}",
    "{code}",
    "{{",
    "}}",
    "```",
    "<p>",
    "&gt;",
    "<!--",
    "/herald why",
]


@given(st.lists(st.sampled_from(MARKS)).map("".join), st.sampled_from(Markup))
def test_any_text_is_read_without_error(body, markup):
    assert not any(line.startswith(S) or not line.strip() for line in said_lines(body, markup))


@pytest.mark.parametrize("markup", Markup)
def test_a_long_comment_of_nothing_but_markup_is_read_at_once(markup):
    pieces = (
        "{quote}",
        "{{",
        "{panel:a}",
        "\\",
        "\\{quote}",
        "[a",
        "![",
        "!a",
        "> ",
        "`a",
        "*a",
        "<!--",
        "<b>",
        "&#",
        "- ",
        " ",
        "{a}",
    )
    began = perf_counter()
    for piece in pieces:
        said_lines(piece * (8_000 // len(piece)) + "x", markup)
    assert perf_counter() - began < 20  # where the time is not in proportion to the length, this takes minutes
