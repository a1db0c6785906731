"""Comments with and without commands, written as people and machines write them, whose truth is known by construction.

Nothing here knows how Herald reads. A comment is built of paragraphs, in which a command counts, and of whatever a
service shows without anybody having said it: quotations, code, panels, tables, lists, links, comments of HTML, mails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from random import Random
from typing import Any

from bot.domain import commands as c
from bot.text.comment_lines import Markup

TRUE: list[tuple[str, c.Command]] = [
    ("/herald fixed", c.Fixed()),
    ("/herald fixed the snapshot was stale", c.Fixed("the snapshot was stale")),
    ("/Herald Expected we dropped the small shops", c.Expected("we dropped the small shops")),
    ("/herald noise 30d seeds differ", c.CallNoise(timedelta(days=30), "seeds differ")),
    ("/herald noise ３０天 种子不同", c.CallNoise(timedelta(days=30), "种子不同")),
    ("/herald  mute 12h the server moves", c.Mute(timedelta(hours=12), "the server moves")),
    ("/herald accept until 2027-01-31 known", c.Accept(date(2027, 1, 31), "known")),
    ("/herald rerun", c.Rerun()),
    ("/HERALD ASSIGN ME", c.AssignMe()),
    ("/herald\u00a0why", c.AskWhy()),
    ("/herald rules", c.ShowRules()),
    ("/herald undo 14", c.Undo(14)),
    ("/herald help", c.Help()),
]
SHOWN = [
    "/herald mute 99d no",
    "/herald fixed",
    "/herald undo 1",
    "/herald expected all of it",
    "/herald accept until 2027-12-31 no",
    "/herald",
    "/herald snooze",
]
SPEECH = [
    "We have looked at it.",
    "Run /herald mute 99d no fell again.",  # a run of that name
    "Run: /herald mute 99d no",
    "“/herald fixed” was what they said",
    "please /herald why",
    "see https://sr.example/herald why",
    "/heraldic arms",
    "/herald/why",
    "//herald why",
    "herald why",
    "\uff0fherald why",
    "\u2215herald why",
    "/h\u0435rald why",
    "/\u200bherald why",
    "/her\u00adald why",
    "\u200f/herald why",
    "\u202e/herald why",
    "\ufeff/herald why",
    "/\uff48erald why",
    "@herald why",
    "!herald why",
    "数据已经检查过了。",
    "说 /herald why",
]


@dataclass(frozen=True)
class Sample:
    markup: Markup
    body: str
    commands: tuple[c.Command, ...]  # that somebody gave, in their order


def corpus(seed: int, count: int) -> Iterator[Sample]:
    """Give *count* comments, of each markup as many."""
    random = Random(seed)
    makers: dict[Markup, Callable[[Random], Sample]] = {
        Markup.WIKI: _wiki,
        Markup.ADF: _adf,
        Markup.STORAGE: _storage,
        Markup.MARKDOWN: _markdown,
        Markup.MRKDWN: _mrkdwn,
    }
    for at in range(count):
        yield makers[list(Markup)[at % len(Markup)]](random)


def _paragraph(random: Random) -> list[tuple[str, c.Command | None]]:
    """Return the lines of one paragraph, each with the command that it is."""
    return [
        random.choice(TRUE) if random.random() < 0.4 else (random.choice(SPEECH), None)
        for _ in range(random.randint(1, 3))
    ]


def _given(lines: list[tuple[str, c.Command | None]]) -> list[c.Command]:
    return [command for _, command in lines if command is not None]


def _shown(random: Random) -> str:
    lines = [random.choice(SHOWN) for _ in range(random.randint(1, 3))]
    if random.random() < 0.3:
        lines.insert(random.randrange(len(lines) + 1), random.choice(SPEECH[:4]))
    return "\n".join(lines)


Frame = tuple[str, str]  # what opens it and what closes it


def _framed(random: Random, frames: list[Frame], raw: list[Frame], depth: int = 0) -> str:
    """Write what is shown within frames, which may stand within one another; within raw ones nothing does."""
    if depth < 3 and random.random() < 0.4:
        opening, closing = random.choice(frames)
        inside = _framed(random, [each for each in frames if each[1] != closing], raw, depth + 1)
        parts = [_shown(random), inside, _shown(random)]
        return (
            f"{opening}\n" + "\n".join(random.sample(parts, random.randint(1, 3)) if depth else parts) + f"\n{closing}"
        )
    opening, closing = random.choice(raw if random.random() < 0.5 else frames)
    return f"{opening}\n{_shown(random)}\n{closing}"


def _joined(random: Random, blocks: list[str]) -> str:
    body = "\n\n".join(blocks)
    return body.replace("\n", "\r\n") if random.random() < 0.2 else body


def _mix(
    random: Random, paragraph: Callable[[list[tuple[str, c.Command | None]]], Any], hostile: Callable[[], Any]
) -> tuple[list[Any], tuple[c.Command, ...]]:
    """Put paragraphs and what is shown in any order."""
    blocks: list[Any] = []
    commands: list[c.Command] = []
    for _ in range(random.randint(1, 6)):
        if random.random() < 0.45:
            lines = _paragraph(random)
            commands += _given(lines)
            blocks.append(paragraph(lines))
        else:
            blocks.append(hostile())
    return blocks, tuple(commands)


# Jira's wiki markup

WIKI_FRAMES = [
    ("{quote}", "{quote}"),
    ("{panel:title=As it was|borderStyle=dashed}", "{panel}"),
    ("{panel}", "{panel}"),
    ("{info}", "{info}"),
    ("{warning:title=Mind}", "{warning}"),
    ("{expand:more}", "{expand}"),
    ("{excerpt}", "{excerpt}"),
]
WIKI_RAW = [
    ("{code}", "{code}"),
    ("{code:title=a.py|borderStyle=solid}\n{quote}", "{code}"),
    ("{noformat}", "{noformat}"),
    ("{noformat}\n{panel}", "{noformat}"),
]
WIKI_LINES = ["bq. {}", "* {}", "** {}", "# {}", "- {}", "h3. {}", "> {}", "|{}|", "||{}||", "| a | {} |", "{{{{{}}}}}", "[{}|http://sr.example]", "-{}-", "??{}??", "\\{}", "&#47;{}", "bq. a\\\\{}", "* a\\\\{}", "| a\\\\{} |", "{{{{a\\\\{}}}}}", "(i) {}", "!{}!", "[~wei] {}"]  # fmt: skip


def _wiki(random: Random) -> Sample:
    def write(line: str) -> str:
        style = random.random()
        if style < 0.1:
            return f"{{color:#172b4d}}{line}{{color}}"
        return f"*{line.strip()}*" if style < 0.15 else f"{line}  " if style < 0.2 else line

    def paragraph(lines: list[tuple[str, c.Command | None]]) -> str:
        return ("\\\\" if random.random() < 0.15 else "\n").join(write(line) for line, _ in lines)

    def hostile() -> str:
        if random.random() < 0.5:
            return _framed(random, WIKI_FRAMES, WIKI_RAW)
        return _one_line(random, WIKI_LINES)

    blocks, commands = _mix(random, paragraph, hostile)
    if random.random() < 0.2:  # what nobody closed
        blocks.append(f"{random.choice(WIKI_FRAMES + WIKI_RAW)[0]}\n{_shown(random)}")
    return Sample(Markup.WIKI, _joined(random, blocks), commands)


def _one_line(random: Random, shapes: list[str]) -> str:
    if random.random() < 0.25:
        return random.choice(MAILS).format(_shown(random).replace("\n", "\n> "))
    shape, shown = random.choice(shapes), random.choice(SHOWN)
    return shape.format(shown[1:] if shape.startswith("&#47;") else shown)


MAILS = [
    "On Mon, 23 Nov 2026 at 10:00, Wei Zhang <wei@sr.example> wrote:\n> {}",
    "张伟于2026年11月23日写道：\n> {}",
    "<!-- a comment\n> {}\n-->",
    "<!-- {} -->",
    "> > {}",
]

# The Atlassian Document Format


def _text(text: str, *marks: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "marks": [{"type": mark} for mark in marks]}


def _node(kind: str, *content: Any) -> dict[str, Any]:
    return {"type": kind, "content": list(content)}


def _adf(random: Random) -> Sample:
    def write(line: str) -> list[Any]:
        if random.random() < 0.2:  # as an editor leaves it where something was marked once
            cut = random.randrange(1, len(line))
            return [_text(line[:cut]), _text(line[cut:])]
        return [_text(line, *random.choice([(), (), (), ("strong",), ("em", "textColor")]))]

    def paragraph(lines: list[tuple[str, c.Command | None]]) -> Any:
        content: list[Any] = []
        for line, _ in lines:
            content += [{"type": "hardBreak"}] if content else []
            content += write(line)
        return _node("paragraph", *content)

    def shown() -> Any:
        return _node("paragraph", _text(random.choice(SHOWN)))

    def hostile(depth: int = 0) -> Any:
        inner = hostile(depth + 1) if depth < 3 and random.random() < 0.4 else shown()
        line = random.choice(SHOWN)
        return random.choice(
            [
                lambda: _node("blockquote", inner),
                lambda: _node("panel", shown(), inner),
                lambda: _node("expand", inner, shown()),
                lambda: _node("bulletList", _node("listItem", inner)),
                lambda: _node("orderedList", _node("listItem", shown(), inner)),
                lambda: _node("taskList", _node("taskItem", _text(line))),
                lambda: _node("table", _node("tableRow", _node("tableCell", inner))),
                lambda: _node("bodiedExtension", inner),
                lambda: _node("never heard of", inner),
                lambda: _node("codeBlock", _text(line)),
                lambda: _node("heading", _text(line)),
                lambda: _node("paragraph", _text(line, "code")),
                lambda: _node("paragraph", _text(line, "strong", "strike")),
                lambda: _node("paragraph", _text(line, "link")),
                lambda: _node("paragraph", _text(f"see\n{line}")),
                lambda: _node("paragraph", _text("a"), _text(f"\n{line}")),
                lambda: _node("paragraph", {"type": "mention", "attrs": {"text": line}}),
                lambda: _node("paragraph", {"type": "status", "attrs": {"text": line}}),
                lambda: _node("paragraph", {"type": "emoji", "attrs": {"text": "🙂"}}, _text(line)),
                lambda: _node("paragraph", {"type": "inlineCard", "attrs": {"url": line}}),
                lambda: _node("paragraph", _text("> " + line)),
            ]
        )()

    blocks, commands = _mix(random, paragraph, hostile)
    return Sample(Markup.ADF, json.dumps({"type": "doc", "version": 1, "content": blocks}), commands)


# Confluence's storage format


def _macro(name: str, body: str) -> str:
    return f'<ac:structured-macro ac:name="{name}">{body}</ac:structured-macro>'


def _storage(random: Random) -> Sample:
    def write(line: str) -> str:
        return random.choice(["{}", "{}", "{}", "<strong>{}</strong>", '<span style="color: red;">{}</span>']).format(
            escape(line)
        )

    def paragraph(lines: list[tuple[str, c.Command | None]]) -> str:
        return f"<p>{'<br/>'.join(write(line) for line, _ in lines)}</p>"

    def hostile(depth: int = 0) -> str:
        line = escape(random.choice(SHOWN))
        inner = hostile(depth + 1) if depth < 3 and random.random() < 0.4 else f"<p>{line}</p>"
        return random.choice(
            [
                f"<blockquote>{inner}</blockquote>",
                _macro("info", f"<ac:rich-text-body>{inner}</ac:rich-text-body>"),
                _macro("expand", f"<ac:rich-text-body>{inner}<p>{line}</p></ac:rich-text-body>"),
                _macro("code", f"<ac:plain-text-body><![CDATA[{random.choice(SHOWN)}]]></ac:plain-text-body>"),
                f"<ul><li>{inner}</li></ul>",
                f"<table><tbody><tr><td>{inner}</td></tr></tbody></table>",
                f"<ac:layout><ac:layout-section><ac:layout-cell>{inner}</ac:layout-cell></ac:layout-section></ac:layout>",
                f"<div>{inner}</div>",
                f"<pre>{line}</pre>",
                f"<h2>{line}</h2>",
                f"<p><code>{line}</code></p>",
                f"<p><s>{line}</s></p>",
                f'<p><a href="http://sr.example">{line}</a></p>',
                f"<p>see\n{line}</p>",
                f"<p><!-- x -->{line}</p>",
                f"<!-- {line} -->",
                f'<p><span style="display:none">{line}</span></p>',
                f'<p style="display:none">{line}</p>',
                f"<p>&gt; {line}</p>",
                '<p><ac:link><ri:user ri:account-id="1"/><ac:link-body>' + line + "</ac:link-body></ac:link></p>",
            ]
        )

    blocks, commands = _mix(random, paragraph, hostile)
    return Sample(Markup.STORAGE, random.choice(["", "\n"]).join(blocks), commands)


# Markdown

MARKDOWN_LINES = ["> {}", "> > {}", "- {}", "* a\n  {}", "1. {}", "# {}", "`{}`", "``` {} ```", "~~{}~~", "[{}](http://sr.example)", "![{}](http://sr.example/x.png)", "[x]: /herald '{}'", "\\{}", "&#47;{}", "<b>{}</b>", "<p>\n{}\n</p>", "<!-- {} -->", "    {}", "\t{}", "a | b\n--- | ---\n{} | c", "{}\n===", "> a\n{}", "- > {}", "`a\n{}\nb`", "<details>\n\n{}\n\n</details>", "[a\n{}](http://sr.example)"]  # fmt: skip
MARKDOWN_FRAMES = ["```", "~~~", "````", "```python"]


def _markdown(random: Random) -> Sample:
    def write(line: str) -> str:
        style = random.random()
        return f"**{line.strip()}**" if style < 0.05 else f" {line}" if style < 0.1 else line

    def paragraph(lines: list[tuple[str, c.Command | None]]) -> str:
        return random.choice(["\n", "\n", "  \n", "\\\n"]).join(write(line) for line, _ in lines)

    def hostile() -> str:
        if random.random() < 0.3:
            fence = random.choice(MARKDOWN_FRAMES)
            return f"{fence}\n{_shown(random)}\n{fence[:4].rstrip('p')}"
        if random.random() < 0.2:
            quoted = f"{random.choice(MARKDOWN_LINES[:7])}".format(_shown(random))
            return "\n".join(f"> {line}" for line in quoted.split("\n"))
        return _one_line(random, MARKDOWN_LINES)

    blocks, commands = _mix(random, paragraph, hostile)
    if random.random() < 0.2:
        blocks.append(f"{random.choice(['```', '~~~', '<!--', '<details>'])}\n{_shown(random)}")
    return Sample(Markup.MARKDOWN, _joined(random, blocks), commands)


# Slack's mrkdwn

MRKDWN_LINES = ["> {}", "&gt; {}", "• {}", "1. {}", "`{}`", "```{}```", "~{}~", "<http://sr.example|{}>", "<@U1> {}", ":x: {}", "``` a\n{}\nb```", "&#47;{}"]  # fmt: skip


def _mrkdwn(random: Random) -> Sample:
    def write(line: str) -> str:
        line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        style = random.random()
        return f"*{line.strip()}*" if style < 0.05 else f" {line}" if style < 0.5 else line

    def paragraph(lines: list[tuple[str, c.Command | None]]) -> str:
        return "\n".join(write(line) for line, _ in lines)

    def hostile() -> str:
        return f"```\n{_shown(random)}\n```" if random.random() < 0.3 else _one_line(random, MRKDWN_LINES)

    blocks, commands = _mix(random, paragraph, hostile)
    if random.random() < 0.2:
        blocks.append(f"{random.choice(['```', '&gt;&gt;&gt;', '>>>'])} a\n{_shown(random)}")
    return Sample(Markup.MRKDWN, _joined(random, blocks), commands)
