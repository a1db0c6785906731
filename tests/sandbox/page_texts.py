"""What a person reads on a page of the sandbox."""

from __future__ import annotations

import re

from lxml import html

from tests.sandbox.conftest import CLIENT


def read(url):
    answer = CLIENT.get(url, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return html.document_fromstring(answer.text)


def words(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()
