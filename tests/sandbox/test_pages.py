"""What a person reads on the pages, and what keeps the pages harmless."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.sandbox import sample_content
from tests.sandbox.conftest import CLIENT
from tests.sandbox.page_texts import read, words


@pytest.fixture
def written(sandbox):
    return sample_content.write(sandbox)


def test_a_ticket_shows_what_the_team_needs(written):
    shown = read(written.ticket_url)
    assert words(shown.find(".//h1")) == "next-purchase: nDCG@10 fell by 11.2 % (0.412 to 0.366)"
    aside = words(shown.find(".//aside"))
    for expected in (
        "In Progress",
        "Bug",
        "High",
        "Ada Okafor",
        "Herald",
        sample_content.MARKER,
        "ranking",
        "2026-11-30",
    ):
        assert expected in aside
    description = shown.get_element_by_id("description")
    assert [words(cell) for cell in description.xpath(".//table[1]//tr[2]/td")][:4] == [
        "nDCG@10 (ndcg@10)",
        "0.412",
        "0.366",
        "-11.2 %",
    ]
    assert [words(cell) for cell in description.xpath(".//table[2]//tr[4]/td")] == [
        "query | name",
        "{code}",
        "[~ada] *not bold*",
    ]
    (chart,) = description.xpath(".//img")
    assert chart.get("width") == "720"
    comments = [words(one) for one in shown.find_class("comment")]
    assert "Still there." in comments[0]
    assert "@Lin Wei" in comments[1]
    links = shown.find_class("links")[0]
    assert "Report of next-purchase: run 4" in words(links)
    assert "SR-4" in words(links)


def test_every_picture_and_link_of_our_own_leads_somewhere(sandbox, written):
    for url in (written.ticket_url, written.page_url, written.channel_url, sandbox.url):
        shown = read(url)
        shown.make_links_absolute(url)
        targets = {link for _, attribute, link, _ in shown.iterlinks() if attribute in ("href", "src")}
        for target in targets:
            if target.startswith(sandbox.url) and "/trello" not in target:
                answer = CLIENT.get(target, follow_redirects=True)
                assert answer.status_code == 200, f"{url} -> {target}"


def test_a_report_shows_its_macros_resolved(written):
    shown = read(written.page_url)
    content = shown.get_element_by_id("content")
    assert words(shown.find(".//h1")) == "next-purchase: run 4"
    assert "panel-warning" in content.find_class("panel")[0].get("class")
    (tickets,) = content.find_class("tickets")
    assert [words(cell) for cell in tickets.xpath(".//tr[2]/td")] == [
        "Bug",
        written.ticket,
        "next-purchase: nDCG@10 fell by 11.2 % (0.412 to 0.366)",
        "In Progress",
        "Ada Okafor",
    ]
    assert [words(one) for one in content.find_class("lozenge-red")] == ["Got worse", "Got worse"]
    assert content.xpath(".//img/@alt") == ["History of ndcg@10"]
    assert "Literal: <script>alert(1)</script>" in words(content)
    assert [words(one) for one in shown.xpath("//nav[@class='tree']//a[@aria-current]")] == ["next-purchase: run 4"]
    assert sample_content.MARKER in words(shown.find_class("paper")[0])


def test_a_channel_shows_the_message_turned_green(written):
    shown = read(written.channel_url)
    messages = [one for one in shown.find_class("message") if one.getparent().get("class") != "thread"]
    first = messages[0]
    assert "recovered" in words(first)
    assert "(edited)" in words(first)
    assert first.find_class("bar-green")
    assert not first.find_class("bar-red")
    assert "1 reply" in words(first)
    assert messages[1].find_class("bar-red")
    assert "Literal: <!channel> & <@U1>" in words(messages[2])
    assert not messages[2].find_class("mention")


def test_addresses_are_those_that_the_interfaces_give(sandbox, written, jira, slack):
    link = slack.get(f"chat.getPermalink?channel={sandbox.channel_id}&message_ts={written.message}").json()["permalink"]
    (marked,) = read(link).find_class("marked")
    assert "two-tower" in words(marked)
    assert written.page_url.endswith(f"/wiki/spaces/SR/pages/{written.page}/next-purchase%3A+run+4")


def test_lists_and_boards_name_every_ticket(sandbox, written):
    listed = read(f"{sandbox.jira_cloud_url}/projects/SR/issues")
    assert [words(one) for one in listed.xpath("//tbody//a[contains(@class, 'key')]")] == [
        "SR-4",
        "SR-3",
        "SR-2",
        "SR-1",
    ]
    columns = read(f"{sandbox.jira_cloud_url}/projects/SR/board").find_class("column")
    assert [len(one.find_class("tile")) for one in columns] == [1, 2, 1]


def test_pages_forbid_scripts_and_all_from_elsewhere(sandbox, written):
    for url in (sandbox.url, written.ticket_url, written.page_url, written.channel_url):
        answer = CLIENT.get(url)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "<script" not in answer.text
        assert " style=" not in answer.text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}{% raw %}",
    "</title><script>alert(1)</script>",
    "\u202egnp.exe",
    "漢字 🙂 " + "x" * 200,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_text_on_every_page(sandbox, jira, wiki, slack, ticket, hostile):
    key = jira.post("/issue", ticket(summary=hostile, description=hostile)).json()["key"]
    jira.post(f"/issue/{key}/comment", {"body": hostile})
    headers = {"X-Atlassian-Token": "no-check"}
    jira("POST", f"/issue/{key}/attachments", files={"file": (f"{hostile[:50]}.txt", b"x")}, headers=headers)
    jira.post(f"/issue/{key}/remotelink", {"object": {"url": "http://x.invalid/'\"><b>", "title": hostile}})
    body = {"representation": "storage", "value": "<p>x</p>"}
    made = wiki.post("/api/v2/pages", {"spaceId": "65538", "title": hostile, "body": body}).json()
    slack.post("chat.postMessage", {"channel": sandbox.channel_id, "text": hostile})
    pages = (
        f"{sandbox.jira_cloud_url}/browse/{key}",
        f"{sandbox.jira_cloud_url}/projects/SR/issues",
        f"{sandbox.jira_cloud_url}/projects/SR/board",
        made["_links"]["base"] + made["_links"]["webui"],
        f"{sandbox.confluence_cloud_url}/wiki/spaces/SR",
        f"{sandbox.url}/slack/archives/{sandbox.channel_id}",
        sandbox.url,
    )
    for url in pages:
        shown = read(url)
        assert not shown.xpath("//script | //*[@onerror] | //img[@src='x']"), url
    assert words(read(pages[0]).find(".//h1")) == re.sub(r"\s+", " ", hostile).strip()
    assert words(read(pages[3]).find(".//h1")) == re.sub(r"\s+", " ", hostile).strip()


def test_what_is_not_there_is_said_kindly(sandbox):
    for path in (
        "/jira-cloud/browse/SR-99",
        "/confluence-cloud/wiki/spaces/SR/pages/1/x",
        "/slack/archives/C1",
        "/nowhere",
    ):
        answer = httpx.get(sandbox.url + path, follow_redirects=True)
        assert answer.status_code == 404
        assert "We could not find" in answer.text
