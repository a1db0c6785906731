"""How few requests telling takes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bot.sandbox import RunningSandbox
from tests.contract.benches import Reader, reader_of

BENCH = Path(__file__).parents[2] / "bench" / "requests.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_requests", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("tracker", "deployment"), [("jira", "cloud"), ("trello", "datacenter")])
def test_telling_takes_few_requests(bench: ModuleType, sandbox: RunningSandbox, tracker: str, deployment: str):
    counted = bench.count(sandbox, tracker, deployment)
    assert set(counted) == set(bench.MOST)
    reads_lists = tracker == "trello"  # before a card is put into one: an archived one takes it without a word
    for what, most in bench.MOST.items():
        links_back = reads_lists and what == "a new incident"  # a card has its links one by one: to the one before too
        assert len(counted[what]) <= most + reads_lists + links_back, f"{what}: {counted[what]}"
    said = " ".join(counted["a new incident"])
    for part in ("chat.postMessage", "attachment", "/label", "remotelink" if tracker == "jira" else "/1/cards"):
        assert part in said
    assert counted["nothing to say"] == []


def test_the_pipelines_page_links_to_a_card_which_the_wiki_cannot_list(bench: ModuleType, sandbox: RunningSandbox):
    with bench.watch(sandbox, "trello", "cloud", wiki=True) as at:
        for value in (*bench.GOOD, bench.BAD, bench.BAD):
            at.run(value)
    reader = reader_of(sandbox, sandbox.confluence_cloud_url, cloud=True)
    pages = reader.get("wiki/api/v2/pages", **{"body-format": "storage"})["results"]
    [body] = [
        each["body"]["storage"]["value"]
        for each in pages
        if " 2" not in each["title"] and "(Herald bench)" in each["title"]
    ]
    [card] = Reader(sandbox.trello_url, None, None, key=sandbox.trello_key, token=sandbox.trello_token).get(
        f"boards/{sandbox.board_id}/cards"
    )
    assert card["shortUrl"] in body
    assert all('ac:name="jira"' not in each["body"]["storage"]["value"] for each in pages)
