"""Untrusted text in each output language: golden cases from the documented syntax, then laws for any text.

Sources: Jira "Text Formatting Notation Help"; Confluence "Storage Format" and XML 1.0 (production 2, Char); Slack
"Formatting text for app surfaces"; CommonMark 0.31 (2.4 backslash escapes, 6.4 links) and Trello "How to format text".
"""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from bot.text import escape
from tests.unit.reading import Reading, read_jira, read_markdown, read_slack

J = escape.JOINER

JIRA = [
    # construct, hostile text, how it is written
    ("macro", "{code}", r"\{code\}"),
    ("macro with a parameter", "{color:red}", rf"\{{color:{J}red\}}"),
    ("quote macro", "{quote}x{quote}", r"\{quote\}x\{quote\}"),
    ("mention", "[~admin]", r"\[\~admin\]"),
    ("mention by account", "[~accountid:5b10]", rf"\[\~accountid:{J}5b10\]"),
    ("link", "[text|http://evil.example]", rf"\[text\|http:{J}//evil.example\]"),
    ("image", "!img.png!", r"\!img.png\!"),
    ("attachment", "[^secret.txt]", r"\[\^secret.txt\]"),
    ("table cell", "|cell|", r"\|cell\|"),
    ("table heading", "||head||", r"\|\|head\|\|"),
    ("numbered list", "# one", r"\# one"),
    ("bulleted list", "* one", r"\* one"),
    ("dashed list", "- one", r"\- one"),
    ("ruler", "----", r"\-\-\-\-"),
    ("heading", "h1. Big", f"h1{J}. Big"),
    ("block quote", "bq. said", f"bq{J}. said"),
    ("heading after spaces", "  h2. Big", f"  h2{J}. Big"),
    ("strong", "*bold*", r"\*bold\*"),
    ("emphasis", "_it_", r"\_it\_"),
    ("deleted", "-gone-", r"\-gone\-"),
    ("inserted", "+ins+", r"\+ins\+"),
    ("superscript", "x^2^", r"x\^2\^"),
    ("subscript", "H~2~O", r"H\~2\~O"),
    ("citation", "??cite??", r"\?\?cite\?\?"),
    ("monospace", "{{mono}}", r"\{\{mono\}\}"),
    ("line break", r"C:\\data", rf"C:{J}\{J}\data"),
    ("escape of an escape", r"\{code}", rf"\{J}\{{code\}}"),
    ("plain backslash", r"a\b", r"a\b"),
    ("bare address", "see https://evil.example/x", rf"see https:{J}//evil.example/x"),
    ("mail address", "mailto:x@evil.example", rf"mailto:{J}x\@evil.example"),
    ("mention in the Cloud editor", "@here", r"\@here"),
    ("emoticon in brackets", "(!)", r"\(\!\)"),
    ("emoticon", "fine :)", rf"fine :{J}\)"),
    ("emoticon with a letter", "ratio:Px", f"ratio:{J}Px"),
    ("winking", ";)", r";\)"),
    ("half an emoticon", "a:", f"a:{J}"),
    ("half a wink", "a;", f"a;{J}"),
    ("alone in brackets", "x", f"{J}x"),
    ("issue key", "ABC-123", r"ABC\-123"),
    ("entity", "&lt;b&gt;", f"&{J}lt;b&{J}gt;{J}"),
    ("numbered entity", "&#91;x", rf"&{J}\#91;x"),
    ("ampersand alone", "a & b", "a & b"),
    ("time of day", "12:30", "12:30"),
    ("line feed", "a\nh1. b", "a\u21b5h1. b"),
    ("letters of any script", "排序质量 Ünïcode 🙂", "排序质量 Ünïcode 🙂"),
]

SLACK = [
    ("ampersand", "a & b", "a &amp; b"),
    ("channel", "<!channel>", "&lt;!channel&gt;"),
    ("user", "<@U1>", f"&lt;@{J}U1&gt;"),
    ("link", "<http://evil.example|here>", f"&lt;http:{J}//evil.{J}example|here&gt;"),
    ("bold", "*bold*", "\u2217bold\u2217"),
    ("product", "3*4*5", "3*4*5"),
    ("italic", "_it_", "\u02cdit\u02cd"),
    ("name with underscores", "ndcg_at_10", "ndcg_at_10"),
    ("bold between signs that are no letters", "¹*bold*¹", "¹\u2217bold\u2217¹"),
    ("italic between Chinese letters", "排_序_质", "排\u02cd序\u02cd质"),
    ("strike", "~gone~", "\u223cgone\u223c"),
    ("code", "`rm`", "\u02cbrm\u02cb"),
    ("emoji", ":tada:", f":{J}tada:{J}"),
    ("emoji between digits", "1:100:2", f"1:{J}100:{J}2"),
    ("time of day", "12:30", f"12:{J}30"),
    ("quote", "> said", f"{J}&gt; said"),
    ("dash", "- one", f"{J}- one"),
    ("divider", "---", f"{J}---"),
    ("bare address", "https://evil.example", f"https:{J}//evil.{J}example"),
    ("bare domain", "train.py", f"train.{J}py"),
    ("number", "0.146", "0.146"),
    ("mail", "x@evil.example", f"x@{J}evil.{J}example"),
    ("half a mention", "@", f"@{J}"),
    ("mention by name", "@here #general", f"@{J}here #{J}general"),
    ("entity", "&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
    ("first line of a message", "tone: bad", f"{J}tone: bad"),
    ("line feed", "a\n\n---", "a\u21b5\u21b5---"),
]

MARKDOWN = [
    ("strong", "**bold**", r"\*\*bold\*\*"),
    ("emphasis", "_it_", r"\_it\_"),
    ("code", "`x`", r"\`x\`"),
    ("link", "[a](http://evil.example)", rf"\[a\]\(http:{J}/{J}/evil.{J}example\)"),
    ("image", "![a](b.png)", rf"\!\[a\]\(b.{J}png\)"),
    ("heading", "# big", r"\# big"),
    ("list", "- one", r"\- one"),
    ("numbered list", "1. one", r"1\. one"),
    ("number", "0.146", "0.146"),
    ("quote", "> said", r"\> said"),
    ("ruler", "---", r"\-\-\-"),
    ("underline of a heading", "===", r"\=\=\="),
    ("html", "<script>", r"\<script\>"),
    ("entity", "&lt;", r"\&lt;"),
    ("strike", "~~gone~~", r"\~\~gone\~\~"),
    ("backslash", r"\*", r"\\\*"),
    ("bare address", "https://evil.example", f"https:{J}/{J}/evil.{J}example"),
    ("bare address of another kind", "ftp://evil.example", f"ftp:{J}/{J}/evil.{J}example"),
    ("bare address of the page's kind", "//evil.example", f"/{J}/evil.{J}example"),
    ("bare domain", "www.evil.example", f"www{J}.{J}evil.{J}example"),
    ("bare domain in capitals", "WWW.evil.example", f"WWW{J}.{J}evil.{J}example"),
    ("bare domain after a literal mark", "_it_www.evil.example", rf"\_it\_www{J}.{J}evil.{J}example"),
    ("bare domain in brackets", "(www.evil.example)", rf"\(www{J}.{J}evil.{J}example\)"),
    ("bare domain without www", "evil.com", f"evil.{J}com"),
    ("mail address", "x_y@evil.example", rf"x\_y@{J}evil.{J}example"),
    ("mail address with its kind", "mailto:x@evil.example", f"mailto:{J}x@{J}evil.{J}example"),
    ("chat address", "xmpp:x@evil.example/y", f"xmpp:{J}x@{J}evil.{J}example/y"),
    ("foot note", "[^1]: x", r"\[^1\]: x"),
    ("task", "- [x] done", r"\- \[x\] done"),
    ("mention", "@board", f"@{J}board"),
    ("emoji", ":tada:", f":{J}tada:{J}"),
    ("table", "|a|b|", r"\|a\|b\|"),
    ("indented code", "    x", f"{J}    x"),
]

STORAGE = [
    ("element", "<b>", "&lt;b&gt;"),
    ("macro", '<ac:structured-macro ac:name="html">', "&lt;ac:structured-macro ac:name=&#34;html&#34;&gt;"),
    ("entity", "&nbsp;", "&amp;nbsp;"),
    ("attribute", "' onload='x", "&#39; onload=&#39;x"),
    ("end of a CDATA section", "]]>", "]]&gt;"),
    ("null", "a\x00b", "a\u2400b"),
    ("escape character", "\x1b[31m", "\u241b[31m"),
    ("lone surrogate", "a\ud800b", "a\ufffdb"),
    ("not a character", "a\ufffeb\uffff", "a\ufffdb\ufffd"),
    ("four bytes", "🙂", "🙂"),
]

PLAIN = [
    ("lines", "a\r\nb\nc\u2028d", "a\u21b5b\u21b5c\u21b5d"),
    ("tab", "a\tb", "a b"),
    ("delete", "a\x7fb", "a\u2421b"),
    ("C1 control", "a\x9bb", "a<U+009B>b"),
    ("right-to-left override", "evil\u202egnp.exe", "evil<U+202E>gnp.exe"),
    ("isolate", "\u2066x\u2069", "<U+2066>x<U+2069>"),
    ("mark of direction", "a\u200fb", "a<U+200F>b"),
    ("zero-width space", "a\u200bb", "a<U+200B>b"),
    ("byte order mark", "\ufeffa", "<U+FEFF>a"),
    ("tag", "a\U000e0041", "a<U+E0041>"),
    ("soft hyphen", "a\xadb", "a<U+00AD>b"),
    ("one odd space", "\u2003", "<U+2003>"),
    ("odd spaces alone", "\u3000 \xa0", "<U+3000> <U+00A0>"),
    ("blank letters alone", "\u3164\u2800", "<U+3164><U+2800>"),
    ("joiners alone", "\u200d\u2060", "<U+200D><U+2060>"),
    ("odd spaces among letters", "\u3000a\u2003b\xa0", "\u3000a\u2003b\xa0"),
    ("ordinary spaces alone", "  ", "  "),
    ("joiner inside an emoji", "👩\u200d💻", "👩\u200d💻"),
    ("no-break space", "14.8\u00a0%", "14.8\u00a0%"),
]


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in JIRA], ids=[c[0] for c in JIRA])
def test_jira_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_jira(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in SLACK], ids=[c[0] for c in SLACK])
def test_slack_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_slack(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in MARKDOWN], ids=[c[0] for c in MARKDOWN])
def test_markdown_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_markdown(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in STORAGE], ids=[c[0] for c in STORAGE])
def test_storage_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_storage(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in PLAIN], ids=[c[0] for c in PLAIN])
def test_what_cannot_be_seen_is_made_visible(hostile: str, written: str):
    assert escape.to_plain(hostile) == written


BITS = [case[1] for cases in (JIRA, SLACK, MARKDOWN, STORAGE, PLAIN) for case in cases]
hostile_text = st.one_of(
    st.lists(st.one_of(st.sampled_from(BITS), st.text(max_size=6)), max_size=8).map("".join),
    st.lists(
        st.sampled_from(
            [
                *"{}[]()|*_-+^~?!#@&<>`\\:;.=>'\"hHbq1 .\n",
                "http",
                "//",
                "www.",
                "a@b.cc",
                "xmpp:",
                "ftp:",
                "\u2003",
                "\xa0",
                J,
            ]
        ),
        max_size=24,
    ).map("".join),
)
LOOKALIKES = str.maketrans({"\u2217": "*", "\u02cd": "_", "\u223c": "~", "\u02cb": "`"})


def literal(text: str) -> str:
    """Return what a person should read: the text, with what cannot be seen made visible."""
    return escape.to_plain(text).replace(J, "")


def trimmed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


@given(hostile_text)
@example("a\\")
@example("-a -b")
def test_jira_shows_any_text_literally_and_builds_nothing(text: str):
    seen = read_jira(f"see {escape.to_jira(text)} end")
    assert seen.constructs == []
    assert trimmed(seen.text) == trimmed(f"see {literal(text)} end")


@given(hostile_text)
def test_jira_shows_any_text_literally_at_the_start_of_a_line(text: str):
    seen = read_jira(escape.to_jira(text))
    assert seen.constructs == []
    assert trimmed(seen.text) == trimmed(literal(text))


@given(hostile_text)
def test_jira_keeps_any_text_within_its_cell(text: str):
    seen = read_jira(f"| {escape.mend_jira_row(escape.to_jira(text))} | end |")
    assert seen.constructs == [("row", "2")]


@given(hostile_text)
def test_slack_shows_any_text_literally_and_builds_nothing(text: str):
    for wrapped in ("{}", "see {} end"):
        seen = read_slack(wrapped.format(escape.to_slack(text)))
        assert seen.constructs == []
        assert seen.text.translate(LOOKALIKES) == wrapped.format(literal(text)).translate(LOOKALIKES)


@given(hostile_text)
def test_markdown_shows_any_text_literally_and_builds_nothing(text: str):
    for wrapped in ("{}", "see {} end"):
        seen = read_markdown(wrapped.format(escape.to_markdown(text)))
        assert seen.constructs == []
        assert trimmed(seen.text) == trimmed(wrapped.format(literal(text)))


@given(hostile_text)
def test_storage_holds_any_text_literally_in_elements_and_attributes(text: str):
    written = escape.to_storage(text)
    root = etree.fromstring(f'<p title="{written}">{written}</p>')
    assert len(root) == 0
    assert root.text == root.get("title") or (root.text or "") == root.get("title")
    assert (root.text or "").replace(J, "") == literal(text)


BLOCKS = [
    ("jira", escape.to_jira_block, read_jira, "{noformat}\nx{noformat}{code}[~admin]"),
    ("markdown", escape.to_markdown_block, read_markdown, "x\n```\n````\n# big"),
]


@pytest.mark.parametrize(("write", "read", "text"), [b[1:] for b in BLOCKS], ids=[b[0] for b in BLOCKS])
def test_a_block_is_not_left_by_its_own_closing(write, read, text):
    seen: Reading = read(f"before\n{write(text)}\nafter")
    assert seen.kinds() == {"block"}
    assert len(seen.constructs) == 1
    assert seen.constructs[0][1].replace(J, "").strip() == text


@given(hostile_text)
def test_any_text_stays_inside_a_storage_block(text: str):
    root = etree.fromstring(f"<x>{escape.to_storage_block(text)}<y/></x>")
    assert [child.tag for child in root] == ["y"]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("http://mlflow.example/#/experiments/1/runs/ab", "http://mlflow.example/#/experiments/1/runs/ab"),
        ("https://x.example/a|b]c{d}", "https://x.example/a%7Cb%5Dc%7Bd%7D"),
        ("https://x.example/a b(c)", "https://x.example/a%20b%28c%29"),
        ("https://x.example/报告", "https://x.example/%E6%8A%A5%E5%91%8A"),
        ("https://x.example/%20kept", "https://x.example/%20kept"),
        ("javascript:alert(1)", ""),
        ("https://user:secret@x.example/", ""),
        ("file:///etc/passwd", ""),
        ("", ""),
        ("https://" + "x" * 3000, ""),
        ("https://[::1", ""),
        ("https://a\ud800b", ""),
    ],
)
def test_only_plain_web_addresses_become_links(address: str, kept: str):
    assert escape.clean_address(address) == kept


def test_every_character_of_control_and_format_is_seen_but_for_the_joiners_that_scripts_need():
    every = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf")]
    assert [char for char in every if escape.to_plain(f"a{char}b") == f"a{char}b"] == ["\u200c", "\u200d", J]


@pytest.mark.parametrize("write", [escape.to_jira, escape.to_slack, escape.to_markdown, escape.to_storage])
def test_a_name_of_blanks_alone_can_be_seen_in_every_language(write):
    for blank in (*filter(str.isspace, map(chr, range(0x80, 0x3001))), "\u2800", "\u3164", "\ufe0f", "\u200d", J):
        assert re.sub(r"[\\\s\u2060]", "", write(blank)), f"U+{ord(blank):04X}"


def test_nothing_but_our_joiner_is_added_to_ordinary_names():
    for name in ("next-purchase-4", "learning rate", "v1.2", "GROCERY", "排序质量"):
        for write in (escape.to_jira, escape.to_slack, escape.to_markdown, escape.to_storage):
            assert re.sub(r"[\\\u2060]", "", write(name)) == name
