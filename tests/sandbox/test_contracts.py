"""The services' descriptions know what the stand-in does; each test of this folder is held against them besides."""

from __future__ import annotations

import os

import pytest

from tests.sandbox import contracts, sample_content
from tests.sandbox.conftest import EXCHANGES

needs_descriptions = pytest.mark.skipif(
    contracts.folder() is None, reason=f"{contracts.VARIABLE} names no folder with the services' descriptions"
)


def test_the_descriptions_are_at_hand_where_everything_is_tested():
    if contracts.folder() is None and not os.environ.get("CI"):
        pytest.skip(f"{contracts.VARIABLE} names no folder with the services' descriptions")
    assert contracts.folder() is not None, f"{contracts.VARIABLE} must name the folder with the services' descriptions"


@needs_descriptions
def test_a_wrong_answer_would_be_noticed():
    wrong = contracts.Exchange(
        "GET", "jira-cloud", "/rest/api/2/myself", {}, b"", "", 200, b'{"accountId": 7}', "application/json"
    )
    assert "accountId" in (contracts.complaint(wrong) or "")


@needs_descriptions
def test_the_whole_story_is_described(sandbox):
    sample_content.write(sandbox)
    exchanges = [one for response in EXCHANGES if (one := contracts.exchange_of(response))]
    assert len(exchanges) > 20
    assert [text for one in exchanges if (text := contracts.complaint(one))] == []
    described = [one for one in exchanges if contracts.is_declared(one)]
    assert len(described) / len(exchanges) > 0.9


@needs_descriptions
def test_reading_what_a_site_knows_is_described(jira, jira_datacenter, wiki, wiki_datacenter, slack, trello, sandbox):
    for path in ("serverInfo", "myself", "project/SR", "project/SR/components", "field", "status", "resolution"):
        assert jira.get(f"/{path}").status_code == 200
        assert jira_datacenter.get(f"/{path}").status_code == 200
    for path in ("priority", "component/10000", "issueLinkType", "attachment/meta", "issue/createmeta/SR/issuetypes"):
        assert jira.get(f"/{path}").status_code == 200
        assert jira_datacenter.get(f"/{path}").status_code == 200
    assert jira.get("/issue/createmeta/SR/issuetypes/10004").status_code == 200
    assert jira.get("/user/assignable/search", params={"project": "SR"}).status_code == 200
    assert jira.post("/search/approximate-count", {"jql": "project = SR"}).status_code == 200
    assert wiki.get("/api/v2/spaces/65538").status_code == 200
    assert wiki.get("/api/v2/spaces/65538/pages").status_code == 200
    home = wiki.get("/api/v2/pages").json()["results"][0]["id"]
    comment = {"pageId": home, "body": {"representation": "storage", "value": "<p>x</p>"}}
    assert wiki.post("/api/v2/footer-comments", comment).status_code == 201
    included = {"include-labels": "true", "include-properties": "true", "include-versions": "true"}
    assert wiki.get(f"/api/v2/pages/{home}", params={"body-format": "storage", **included}).status_code == 200
    assert wiki.put(f"/api/v2/pages/{home}/title", {"status": "current", "title": "New home"}).status_code == 200
    assert wiki_datacenter.get("/rest/api/space").status_code == 200
    assert wiki_datacenter.get("/rest/api/search", params={"cql": "space = SR"}).status_code == 200
    assert slack.get("auth.test").json()["ok"]
    assert slack.get("conversations.list").json()["ok"]
    assert trello.get("/members/me").status_code == 200
    assert trello.get(f"/boards/{sandbox.board_id}/labels").status_code == 200
