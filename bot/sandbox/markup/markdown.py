"""The Markdown that Trello reads, rendered by markdown-it: CommonMark with GitHub's strikes and bare addresses."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from bot.sandbox.markup.safe_html import escape, is_web_address, link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

# What stands before a bare address may be part of no other word.
_ADDRESS = re.compile(r"(?:(?<![A-Za-z])https?://|(?:(?<=[\s*_~(])|^)(?=www\.))([\w.-]+)[^\s<\[\]\\]*")
_SENTENCE = frozenset("?!.,:;*_~'\"`")  # ends the words around an address, not the address
_LONGEST_ENTITY = 40


def render(text: str) -> str:
    """Render Markdown: HTML in it is shown as text, and a link leads to the web or is none."""
    rendered: str = _reader().render(text)
    return rendered


class _TrelloMarkdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - markdown-it's name
        return is_web_address(url)


@cache
def _reader() -> MarkdownIt:
    reader = _TrelloMarkdown("commonmark", {"html": False, "breaks": True, "xhtmlOut": False})
    reader.enable("strikethrough")
    reader.inline.ruler.before("linkify", "bare_address", _bare_address)
    for first in "hw":
        reader.inline.add_terminator_char(first)
    for side, tag in (("s_open", "<del>"), ("s_close", "</del>")):
        reader.add_render_rule(side, lambda *_, tag=tag: tag)
    reader.add_render_rule("link_open", _link_open)
    reader.add_render_rule("image", _picture)
    return reader


def _bare_address(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it's signature
    """Link an address that stands in a text as it is, as GitHub's reader does."""
    found = _ADDRESS.match(state.src, state.pos, state.posMax) if state.linkLevel == 0 else None
    if found is None or "_" in "".join(found[1].split(".")[-2:]):  # no domain has one there
        return False
    address = _without_punctuation(found[0])
    target = state.md.normalizeLink(address if address.startswith("http") else f"http://{address}")
    if not state.md.validateLink(target):
        return False
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": target}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos += len(address)
    return True


def _without_punctuation(address: str) -> str:
    """Take off what belongs to the sentence around an address: punctuation, entities, brackets it does not open."""
    end, unopened = len(address), address.count(")") - address.count("(")
    while address[end - 1] in _SENTENCE or (address[end - 1] == ")" and unopened > 0):
        unopened -= address[end - 1] == ")"
        entity = address.rfind("&", max(0, end - _LONGEST_ENTITY), end)
        is_entity = address[end - 1] == ";" and entity > 0 and address[entity + 1 : end - 1].isalnum()
        end = entity if is_entity else end - 1
    return address[:end]


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    tokens[at].attrSet("rel", "noreferrer")
    return renderer.renderToken(tokens, at, options, env)


def _picture(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """Show a picture's words as a link to it: the pages load nothing from elsewhere."""
    words = escape(renderer.renderInlineAsText(tokens[at].children, options, env))
    around = [one.type for one in tokens[:at] if one.type in ("link_open", "link_close")]
    return words if around[-1:] == ["link_open"] else link(str(tokens[at].attrGet("src")), words)
