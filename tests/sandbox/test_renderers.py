"""What the pages make of markup: the constructs as the products show them, everything hostile as literal text."""

from __future__ import annotations

import re
import time

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html

from bot.sandbox.markup import markdown, mrkdwn, storage_format, storage_html, wiki_markup
from bot.sandbox.markup.wiki_inline import WikiContext

LITERAL = [
    "<script>alert(1)</script>",
    "a & b < c > d \"e\" 'f'",
    "&lt;b&gt;",
    "]]>",
    "javascript:alert(1)",
]


def text_of(markup):
    tree = lxml_html.fragment_fromstring(markup, create_parent="div")
    return re.sub(r"\s+", " ", tree.text_content()).strip()


def tags_of(markup):
    tree = lxml_html.fragment_fromstring(markup, create_parent="div")
    return [element.tag for element in tree.iter() if element is not tree]


# ---- Jira's wiki markup
# Cases from Atlassian's own "Text formatting notation help" and from what its renderer is reported to do.


@pytest.mark.parametrize("text", [*LITERAL[:2], LITERAL[3], LITERAL[4]])
def test_wiki_markup_shows_html_as_text(text):
    assert text_of(wiki_markup.render(text)) == text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        (r"\*not bold\*", "*not bold*"),
        (r"\_plain\_", "_plain_"),
        (r"\{code\}", "{code}"),
        (r"\{noformat\} *", "{noformat} *"),
        (r"\[~ada\]", "[~ada]"),
        (r"\[text\|#place\]", "[text|#place]"),
        (r"\!image.png\!", "!image.png!"),
        (r"\|\|head\|\|", "||head||"),
        (r"\# one", "# one"),
        (r"\* one", "* one"),
        (r"\-\-\-\-", "----"),
        (r"\h1. no", r"\h1. no"),
        (r"h1\. no", r"h1\. no"),
        (r"C:\temp\new", r"C:\temp\new"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("a - b - c", "a - b - c"),
        ("price{unit}", "price{unit}"),
        ("[not a link", "[not a link"),
        ("wow! really!", "wow! really!"),
        ("* ", "*"),
        (r"\(x\) \(/\)", "(x) (/)"),
        ("a ~ b ~ c ^ d ^", "a ~ b ~ c ^ d ^"),
    ],
)
def test_wiki_markup_that_is_escaped_or_incomplete_is_text(markup, shown):
    assert text_of(wiki_markup.render(markup)) == shown
    assert set(tags_of(wiki_markup.render(markup))) <= {"p"}


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("*bold*", "<p><strong>bold</strong></p>"),
        (
            "_em_ -del- +ins+ ^sup^ ~sub~",
            "<p><em>em</em> <del>del</del> <ins>ins</ins> <sup>sup</sup> <sub>sub</sub></p>",
        ),
        ("{{mono}}", "<p><code>mono</code></p>"),
        ("h2. Head", "<h2>Head</h2>"),
        ("bq. said", "<blockquote><p>said</p></blockquote>"),
        ("----", "<hr>"),
        ("one\ntwo", "<p>one<br>two</p>"),
        ("one\\\\two", "<p>one<br>two</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("* a\n* b\n** c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        ("# a\n# b", "<ol><li>a</li><li>b</li></ol>"),
        ("- a", "<ul><li>a</li></ul>"),
        (
            "||h||i||\n|a|b|",
            "<table><tbody><tr><th>h</th><th>i</th></tr><tr><td>a</td><td>b</td></tr></tbody></table>",
        ),
        (
            "| [x|http://a.invalid/] | {color:red}b{color} |",
            (
                '<table><tbody><tr><td><a href="http://a.invalid/" rel="noreferrer">x</a></td>'
                '<td><span class="ink-red">b</span></td></tr></tbody></table>'
            ),
        ),
        ("[x|http://a.invalid/?a=1&b=2]", '<p><a href="http://a.invalid/?a=1&amp;b=2" rel="noreferrer">x</a></p>'),
        ("http://a.invalid/x.", '<p><a href="http://a.invalid/x" rel="noreferrer">http://a.invalid/x</a>.</p>'),
        ("{noformat}\n*raw* <b>\n{noformat}", "<pre>*raw* &lt;b&gt;</pre>"),
        ("{code:python}\nx = {1}\n{code}", "<pre><code>x = {1}</code></pre>"),
        ("{quote}\nsaid\n{quote}", "<blockquote><p>said</p></blockquote>"),
        ("*{color:#de350b}worse{color}*", '<p><strong><span class="ink-red">worse</span></strong></p>'),
        ("{color:#de350b}*worse*{color}", '<p><span class="ink-red"><strong>worse</strong></span></p>'),
        ("a -- b --- c", "<p>a – b — c</p>"),
    ],
)
def test_wiki_markup_is_rendered(markup, expected):
    assert wiki_markup.render(markup) == expected


def test_wiki_panels_have_a_title():
    rendered = wiki_markup.render("{panel:title=Why}\ntext\n{panel}")
    assert text_of(rendered) == "Why text".replace(" ", "") or "Why" in text_of(rendered)


def test_wiki_links_go_to_the_web_only():
    assert "href" not in wiki_markup.render("[x|javascript:alert(1)] [y|data:text/html,x] [javascript:alert(1)]")


def test_wiki_names_people_and_pictures_only_if_they_exist():
    context = WikiContext(
        picture=lambda name: "/a/1" if name == "a.png" else None,
        person=lambda name: "Ada" if name == "ada" else None,
        ticket=lambda key: "/browse/SR-1" if key == "SR-1" else None,
    )
    assert wiki_markup.render("[~ada]", context) == '<p><span class="mention">@Ada</span></p>'
    assert wiki_markup.render("!a.png|width=720!", context) == '<p><img src="/a/1" alt="a.png" width="720"></p>'
    assert wiki_markup.render("see SR-1", context) == '<p>see <a href="/browse/SR-1">SR-1</a></p>'
    assert tags_of(wiki_markup.render("[~eve] !b.png! SR-2", context)) == ["p", "span", "span"]
    assert "img" not in tags_of(wiki_markup.render("!http://evil.invalid/x.png!", context))


# ---- Slack's mrkdwn


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("&lt;script&gt;", "<script>"),
        ("&amp;lt;", "&lt;"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("snake_case_name 2*3*4 a~b~c", "snake_case_name 2*3*4 a~b~c"),
        ("* not bold *", "* not bold *"),
        ("&lt;!channel&gt; &lt;@U1&gt;", "<!channel> <@U1>"),
        ("<javascript:alert(1)|x>", "<javascript:alert(1)|x>"),
    ],
)
def test_mrkdwn_that_is_escaped_or_no_construct_is_text(text, shown):
    assert text_of(mrkdwn.render(text)) == shown
    assert tags_of(mrkdwn.render(text)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*b* _i_ ~s~ `c`", "<strong>b</strong> <em>i</em> <del>s</del> <code>c</code>"),
        ("<http://a.invalid/?x=1&amp;y=2|text>", '<a href="http://a.invalid/?x=1&amp;y=2" rel="noreferrer">text</a>'),
        ("*<http://a.invalid|t>*", '<strong><a href="http://a.invalid" rel="noreferrer">t</a></strong>'),
        ("one\ntwo", "one<br>two"),
        ("&gt; said\nmore", "<blockquote>said</blockquote>more"),
        ("```\nx *y*\n```", "<pre>x *y*</pre>"),
        ("`*x*`", "<code>*x*</code>"),
        ("<!channel>", '<span class="mention loud">@channel</span>'),
        ("<@U1>", '<span class="mention">@U1</span>'),
        (":white_check_mark: done", '<span class="emoji" title=":white_check_mark:">✅</span> done'),
        (":no_such_thing:", ":no_such_thing:"),
    ],
)
def test_mrkdwn_is_rendered(text, expected):
    assert mrkdwn.render(text) == expected


# ---- Markdown, as Trello reads it


@pytest.mark.parametrize("text", LITERAL[:2])
def test_markdown_shows_html_as_text(text):
    assert text_of(markdown.render(text)) == text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        (r"\*not\* \_em\_ \`code\` \[x\](http://a.invalid\)", "*not* _em_ `code` [x](http://a.invalid)"),
        (r"\# head", "# head"),
        (r"\- item", "- item"),
        (r"1\. one", "1. one"),
        (r"\<http://a.invalid\>", "<http://a.invalid>"),
        ("snake_case_name", "snake_case_name"),
        (r"\~\~x\~\~ \| \> \! \\", r"~~x~~ | > ! \ ".strip()),
    ],
)
def test_markdown_that_is_escaped_is_text(markup, shown):
    assert text_of(markdown.render(markup)) == shown


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("### Metrics", "<h3>Metrics</h3>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("**b** *i* `c` ~~s~~", "<p><strong>b</strong> <em>i</em> <code>c</code> <del>s</del></p>"),
        ("[t](http://a.invalid/?a=1&b=2)", '<p><a href="http://a.invalid/?a=1&amp;b=2" rel="noreferrer">t</a></p>'),
        ("[t](javascript:alert(1))", "<p>[t](javascript:alert(1))</p>"),
        ("```\n*x* <b>\n```", "<pre><code>*x* &lt;b&gt;</code></pre>"),
        ("````\n```\n````", "<pre><code>```</code></pre>"),
        ("> said", "<blockquote><p>said</p></blockquote>"),
        ("---", "<hr>"),
        ("a\n\nb", "<p>a</p><p>b</p>"),
        (
            r"\_www.x.invalid.",
            '<p>_<a href="http://www.x.invalid" rel="noreferrer">www.x.invalid</a>.</p>',
        ),
        ("awww.x.invalid", "<p>awww.x.invalid</p>"),
    ],
)
def test_markdown_is_rendered(markup, expected):
    assert markdown.render(markup).replace("\n", "") == expected


def outline(markup):
    tree = lxml_html.fragment_fromstring(markup, create_parent="div")
    return text_of(markup), [(element.tag, element.get("href")) for element in tree.iter() if element is not tree]


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo\n\n- a\n  - b\n    1. c\n- d\n\n  e",
        "title\n---\n\n    code\n\n~~~\n*raw*\n~~~",
        "**worse:** ***both*** __under__ a_b_c **中文。**后 *x **y* z**",
        "`` a ` b `` ~~gone~~ \\* \\\\ &amp;lt; &copy;",
        "see http://a.invalid/x_y_z. (http://a.invalid/(b)) http://a.invalid/?a=1&b=2&amp; xhttp://a.invalid",
        "www.a.invalid, (www.a.invalid/x) awww.b.invalid \\_www.c.invalid http://a_b.c_d http://127.0.0.1:5000/#/runs/1",
        "<http://a.invalid> [t](http://a.invalid 'title') [r]\n\n[r]: http://b.invalid",
        "[**t** `c`](http://a.invalid) [t](http://a.invalid/(x)) [t] (http://a.invalid) \\[t](http://a.invalid)",
        "> said\nmore\n> > twice\n\n* * *\n\n1) x\n2) y",
        "# #tag\n#none\n####### seven\n### end ###",
    ],
)
def test_markdown_is_read_as_github_reads_it(text):
    github = cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_HARDBREAKS)
    assert outline(markdown.render(text)) == outline(github)


def test_markdown_pictures_are_links_for_nothing_is_loaded_from_elsewhere():
    rendered = markdown.render("![a *b*](http://a.invalid/p.png) [![c](http://a.invalid/q.png)](http://d.invalid)")
    assert outline(rendered) == (
        "a b c",
        [("p", None), ("a", "http://a.invalid/p.png"), ("a", "http://d.invalid")],
    )


# ---- Confluence storage format


@pytest.mark.parametrize("text", LITERAL)
def test_storage_shows_escaped_text_as_it_is(text):
    stored = storage_format.normalise(f"<p>{storage_format.escape(text)}</p>")
    assert text_of(storage_html.render(stored)) == text
    assert tags_of(storage_html.render(stored)) == ["p"]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<style>*{display:none}</style>",
        '<iframe src="http://a.invalid"></iframe>',
        '<a href="javascript:alert(1)">x</a>',
        '<p onclick="alert(1)">x</p>',
        '<p style="position:fixed">x</p>',
        '<img src="http://a.invalid/x.png" />',
        '<form action="http://a.invalid"><input name="q" /></form>',
        (
            '<ac:structured-macro ac:name="html"><ac:plain-text-body><![CDATA[<script>x</script>]]>'
            "</ac:plain-text-body></ac:structured-macro>"
        ),
        '<ac:image><ri:url ri:value="http://a.invalid/x.png" /></ac:image>',
    ],
)
def test_storage_lets_nothing_dangerous_through(hostile):
    shown = storage_html.render(storage_format.normalise(hostile))
    for word in ("<script", "<style", "style=", "<iframe", "javascript:", "onclick", "<img", "<form", "<input"):
        assert word not in shown


def macro(name, body="", **parameters):
    given = "".join(f'<ac:parameter ac:name="{key}">{value}</ac:parameter>' for key, value in parameters.items())
    return f'<ac:structured-macro ac:name="{name}">{given}{body}</ac:structured-macro>'


def test_storage_macros_are_rendered():
    assert storage_html.render(macro("status", title="Got worse", colour="Red")) == (
        '<span class="lozenge lozenge-red">Got worse</span>'
    )
    info = storage_html.render(macro("info", "<ac:rich-text-body><p>x</p></ac:rich-text-body>"))
    assert 'class="panel panel-info"' in info
    expand = storage_html.render(macro("expand", "<ac:rich-text-body><p>x</p></ac:rich-text-body>", title="More"))
    assert "<details" in expand
    assert "<summary>More</summary>" in expand
    code = storage_html.render(macro("code", "<ac:plain-text-body><![CDATA[a < b]]></ac:plain-text-body>"))
    assert "<pre" in code
    assert "a &lt; b" in code
    assert "Unknown macro" in text_of(storage_html.render(macro("gadget")))


def test_storage_tables_keep_their_shape():
    shown = storage_html.render('<table><tbody><tr><th>a</th></tr><tr><td colspan="2">b</td></tr></tbody></table>')
    assert '<td colspan="2">b</td>' in shown


# ---- the normal form


def test_the_wiki_gives_a_body_back_in_another_form():
    sent = '<p class="b" data-a="1">caf&#233; “x” &ndash; y</p><ac:structured-macro ac:name="toc" />'
    kept = storage_format.normalise(sent)
    assert kept != sent
    assert "&eacute;" in kept
    assert "&ldquo;x&rdquo; &ndash;" in kept
    assert "ac:macro-id=" in kept
    assert kept.index("data-a") < kept.index("ac:") or kept.index("class=") > 0


def test_the_normal_form_is_stable():
    once = storage_format.normalise('<p>a &amp; b</p><ac:structured-macro ac:name="toc" /><br/>')
    assert storage_format.normalise(once) == once


def test_cdata_survives_with_its_end_marks():
    body = "<ac:plain-text-body><![CDATA[a]]]]><![CDATA[>b &amp; &nbsp;]]></ac:plain-text-body>"
    kept = storage_format.normalise(macro("code", body))
    assert "a]]>b &amp; &nbsp;" in storage_format.parse(kept).root.xpath("string()")


@pytest.mark.parametrize(
    "broken", ["<p>", "<p>a & b</p>", "<p>&nosuch;</p>", "a < b", "<p>\x00</p>", "<!DOCTYPE x><p/>", "<x:y/>", "]]>"]
)
def test_what_is_not_well_formed_is_refused(broken):
    with pytest.raises(storage_format.StorageError):
        storage_format.normalise(broken)


# ---- laws


@pytest.mark.parametrize(
    "pattern",
    [
        "*a ",
        "_a",
        "[a",
        "{{",
        "!a",
        "![",
        "`a ",
        "~~a ",
        "<a",
        "{color:red}",
        "|a",
        "> ",
        "a*",
        "http://a)",
        ";&a",
        "* a\n",
    ],
)
def test_a_long_hostile_text_takes_no_long_time(pattern):
    text = pattern * (32_000 // len(pattern))
    began = time.process_time()
    for render in RENDERERS:
        render(text)
    assert time.process_time() - began < 5


RENDERERS = (wiki_markup.render, mrkdwn.render, markdown.render)
ALLOWED = {
    *("p", "br", "strong", "em", "del", "ins", "sup", "sub", "code", "pre", "blockquote", "hr", "ul", "ol", "li"),
    *("table", "tbody", "tr", "th", "td", "a", "span", "div", "h1", "h2", "h3", "h4", "h5", "h6", "cite", "b"),
}
MARKS = st.text(alphabet=st.sampled_from("*_-+~^`{}[]|!#<>&\\\n \t:/h1.abq()@\"'x=0"), max_size=80)


@given(st.one_of(st.text(max_size=200), MARKS))
def test_no_renderer_makes_anything_but_its_own_tags(text):
    for render in RENDERERS:
        made = render(text)
        assert set(re.findall(r"<([a-z0-9]+)", made)) <= ALLOWED
        assert not re.search(r"<[^>]*\son[a-z]+=", made)
        assert not re.search(r'(?:href|src)="(?!https?://|mailto:|/)', made)


@given(st.text(max_size=300))
def test_escaped_text_survives_storage(text):
    printable = "".join(one for one in text if one.isprintable())
    stored = storage_format.normalise(f"<p>{storage_format.escape(printable)}</p>")
    assert storage_format.parse(stored).root.xpath("string()") == printable
