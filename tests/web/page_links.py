"""What a page leads to and asks for, and who asks for it in Chinese."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

CHINESE = {"Accept-Language": "fr;q=0.1,zh-CN;q=0.9,zh;q=0.8,en;q=0.3"}


class Links(HTMLParser):
    """Gathers what a page asks for, and leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag, attrs):
        self.found += [value for name, value in attrs if name in {"href", "src", "action"} and value]


def links_of(page: httpx.Response) -> list[str]:
    parser = Links()
    parser.feed(page.text)
    return parser.found
