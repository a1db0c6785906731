"""What Confluence's stand-in grants and refuses, over HTTP."""

from __future__ import annotations

import pytest

from bot.sandbox import Service

SPACE = "65538"
NO_CHECK = {"X-Atlassian-Token": "no-check"}


def new_page(wiki, title="Run 1", body="<p>x</p>", **more):
    given = {"spaceId": SPACE, "status": "current", "title": title, **more}
    return wiki.post("/api/v2/pages", given | {"body": {"representation": "storage", "value": body}})


def made(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(wiki, page, *, number, body="<p>y</p>", **more):
    given = {"id": page["id"], "status": "current", "title": page["title"], "version": {"number": number}, **more}
    return wiki.put(f"/api/v2/pages/{page['id']}", given | {"body": {"representation": "storage", "value": body}})


def test_nobody_gets_in_without_credentials(wiki, wiki_datacenter):
    assert wiki.get("/api/v2/pages", auth=None).status_code == 401
    assert wiki_datacenter.get("/rest/api/content", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_page_comes_back_in_its_normal_form(wiki):
    page = made(new_page(wiki, body='<p class="a" id="b">“x” &#160;</p><ac:structured-macro ac:name="toc"/>'))
    kept = wiki.get(f"/api/v2/pages/{page['id']}", params={"body-format": "storage"}).json()["body"]["storage"]["value"]
    assert "&ldquo;x&rdquo; &nbsp;" in kept
    assert "ac:macro-id=" in kept
    assert made(update(wiki, page, number=2, body=kept))["version"]["number"] == 2


@pytest.mark.parametrize("broken", ["<p>", "<p>a & b</p>", "<p>&unknown;</p>", "]]>"])
def test_a_body_that_is_no_xml_is_refused(wiki, wiki_datacenter, broken):
    answer = new_page(wiki, body=broken)
    assert answer.status_code == 400
    assert "Error parsing xhtml" in answer.json()["errors"][0]["title"]
    given = {"type": "page", "title": "x", "space": {"key": "SR"}, "body": {"storage": {"value": broken}}}
    assert "Error parsing xhtml" in wiki_datacenter.post("/rest/api/content", given).json()["message"]


def test_a_title_is_taken_once_in_a_space(wiki):
    page = made(new_page(wiki))
    answer = new_page(wiki)
    assert answer.status_code == 400
    assert "already exists" in answer.text
    assert new_page(wiki, title="run 1").status_code == 400
    assert wiki.delete(f"/api/v2/pages/{page['id']}").status_code == 204
    assert new_page(wiki).status_code == 200


def test_an_update_needs_the_next_version(wiki):
    page = made(new_page(wiki))
    for number in (1, 3):
        assert update(wiki, page, number=number).status_code == 409
    assert update(wiki, page, number=2).status_code == 200


def test_a_conflict_can_come_out_of_nowhere(wiki, sandbox):
    page = made(new_page(wiki))
    sandbox.change(Service.CONFLUENCE_CLOUD, spurious_conflicts=1)
    assert [update(wiki, page, number=2).status_code for _ in range(2)] == [409, 200]


@pytest.mark.parametrize("missing", ["id", "status", "title", "body", "version"])
def test_an_update_must_be_complete(wiki, missing):
    page = made(new_page(wiki))
    given = {"id": page["id"], "status": "current", "title": "x", "version": {"number": 2}}
    given["body"] = {"representation": "storage", "value": "<p/>"}
    del given[missing]
    answer = wiki.put(f"/api/v2/pages/{page['id']}", given)
    assert answer.status_code == 400
    assert missing in answer.text


def test_what_may_not_be_seen_is_not_there(wiki, wiki_datacenter, sandbox):
    ada = sandbox.seed.people[0]
    mine = {"auth": (ada.email, ada.api_token)}
    hidden = wiki.get("/api/v2/pages", params={"space-id": "65539"}, **mine).json()["results"][0]["id"]
    assert wiki.get(f"/api/v2/pages/{hidden}", **mine).status_code == 200
    assert wiki.get(f"/api/v2/pages/{hidden}").status_code == 404
    assert [one["key"] for one in wiki.get("/api/v2/spaces").json()["results"]] == ["SR"]
    assert new_page(wiki, spaceId="65539").status_code == 404
    assert wiki_datacenter.get("/rest/api/space/HR").status_code == 404


def test_pages_hang_below_each_other(wiki):
    parent = made(new_page(wiki, "Parent"))
    child = made(new_page(wiki, "Child", parentId=parent["id"]))
    children = wiki.get(f"/api/v2/pages/{parent['id']}/direct-children").json()["results"]
    assert [one["id"] for one in children] == [child["id"]]
    assert update(wiki, parent, number=2, parentId=child["id"]).status_code == 400
    assert new_page(wiki, "Orphan", parentId="1").status_code == 404


def test_pages_are_found_by_their_exact_title(wiki):
    page = made(new_page(wiki, "Run: 1-2"))
    found = wiki.get("/api/v2/pages", params={"space-id": SPACE, "title": "Run: 1-2"}).json()["results"]
    assert [one["id"] for one in found] == [page["id"]]
    assert wiki.get("/api/v2/pages", params={"title": "Run"}).json()["results"] == []


def test_long_lists_come_with_a_cursor(wiki):
    for number in range(5):
        made(new_page(wiki, f"Run {number}"))
    first = wiki.get("/api/v2/pages", params={"limit": 4, "space-id": SPACE}).json()
    following = first["_links"]["next"].removeprefix("/confluence-cloud/wiki").removeprefix("/wiki")
    assert len(first["results"]) == 4
    assert len(wiki.get(following).json()["results"]) == 2


def test_removed_addresses_say_so(wiki):
    assert wiki.get("/rest/api/content").status_code == 410
    assert wiki.post("/rest/api/content", {}).status_code == 410
    assert wiki.get("/rest/api/content/98305").status_code == 410
    assert wiki.get("/rest/api/space").status_code == 410
    assert wiki.post("/api/v2/pages/98305/labels", []).status_code == 405
    assert wiki.get("/api/v2/search").status_code == 404


def test_labels_are_written_by_the_older_interface(wiki):
    page = made(new_page(wiki))
    path = f"/rest/api/content/{page['id']}/label"
    assert wiki.post(path, [{"prefix": "global", "name": "Herald-1"}]).status_code == 200
    assert [one["name"] for one in wiki.get(f"/api/v2/pages/{page['id']}/labels").json()["results"]] == ["herald-1"]
    for bad in ("two words", "a:b", "x" * 256, ""):
        assert wiki.post(path, {"prefix": "global", "name": bad}).status_code == 400
    assert wiki.delete(path, params={"name": "herald-1"}).status_code == 204
    assert wiki.delete(path, params={"name": "herald-1"}).status_code == 404


def test_search_finds_labels_after_its_lag(wiki, sandbox, clock):
    sandbox.change(Service.CONFLUENCE_CLOUD, search_lag=20.0)
    page = made(new_page(wiki))
    wiki.post(f"/rest/api/content/{page['id']}/label", [{"prefix": "global", "name": "mine"}])
    query = {"cql": 'label = "mine" and space = SR and type = page'}
    assert wiki.get("/rest/api/content/search", params=query).json()["results"] == []
    clock.pass_by(21)
    assert [one["id"] for one in wiki.get("/rest/api/content/search", params=query).json()["results"]] == [page["id"]]
    assert wiki.get("/rest/api/search", params=query).json()["totalSize"] == 1


@pytest.mark.parametrize("query", ["label =", "nonsense = 1", "(title = x", "title ~", "and", "", "("])
def test_a_query_that_makes_no_sense_is_refused(wiki, query):
    assert wiki.get("/rest/api/content/search", params={"cql": query}).status_code == 400


def test_properties_go_by_id_and_version(wiki):
    page = made(new_page(wiki))
    path = f"/api/v2/pages/{page['id']}/properties"
    kept = made(wiki.post(path, {"key": "herald", "value": {"a": 1}}))
    assert wiki.post(path, {"key": "herald", "value": 1}).status_code == 409
    assert wiki.get(f"{path}/herald").status_code == 400
    assert wiki.get(path, params={"key": "herald"}).json()["results"][0]["id"] == kept["id"]
    again = {"key": "herald", "value": 2, "version": {"number": 2}}
    assert made(wiki.put(f"{path}/{kept['id']}", again))["value"] == 2
    assert wiki.put(f"{path}/{kept['id']}", again).status_code == 409


def test_attachments_are_created_once_or_replaced(wiki):
    page = made(new_page(wiki))
    path = f"/rest/api/content/{page['id']}/child/attachment"

    def files():
        return {"file": ("chart.png", b"\x89PNG", "image/png")}

    assert wiki("POST", path, files=files()).status_code == 403
    assert wiki("POST", path, files=files(), headers=NO_CHECK).status_code == 200
    assert wiki("POST", path, files=files(), headers=NO_CHECK).status_code == 400
    (replaced,) = wiki("PUT", path, files=files(), headers=NO_CHECK).json()["results"]
    assert replaced["version"]["number"] == 2
    (listed,) = wiki.get(f"/api/v2/pages/{page['id']}/attachments").json()["results"]
    assert (listed["id"], listed["fileSize"]) == (replaced["id"], 4)
    assert wiki.get(listed["downloadLink"]).content == b"\x89PNG"


def test_a_page_too_large_is_refused(wiki, sandbox):
    sandbox.change(Service.CONFLUENCE_CLOUD, body_limit=100)
    assert new_page(wiki, body=f"<p>{'x' * 200}</p>").status_code == 413


def test_data_center_keeps_pages_by_its_own_interface(wiki_datacenter):
    call = wiki_datacenter
    body = {"storage": {"value": "<p>x</p>", "representation": "storage"}}
    page = made(call.post("/rest/api/content", {"type": "page", "title": "Run", "space": {"key": "SR"}, "body": body}))
    path = f"/rest/api/content/{page['id']}"
    given = {"type": "page", "title": "Run", "body": body, "version": {"number": 2}}
    assert made(call.put(path, given))["version"]["number"] == 2
    assert call.put(path, given).status_code == 409
    found = call.get("/rest/api/content", params={"spaceKey": "SR", "title": "Run", "expand": "body.storage,version"})
    assert found.json()["results"][0]["body"]["storage"]["value"] == "<p>x</p>"
    assert made(call.post(f"{path}/label", [{"prefix": "global", "name": "mine"}]))["results"][0]["name"] == "mine"
    assert made(call.post(f"{path}/property", {"key": "herald", "value": 1}))["version"]["number"] == 1
    assert (
        made(call.put(f"{path}/property/herald", {"key": "herald", "value": 2, "version": {"number": 2}}))["value"] == 2
    )
    files = {"file": ("a.png", b"1", "image/png")}
    assert (
        call("POST", f"{path}/child/attachment", files=files, headers={"X-Atlassian-Token": "nocheck"}).status_code
        == 403
    )
    (one,) = made(call("POST", f"{path}/child/attachment", files=files, headers=NO_CHECK))["results"]
    files = {"file": ("a.png", b"22", "image/png")}
    data = made(call("POST", f"{path}/child/attachment/{one['id']}/data", files=files, headers=NO_CHECK))
    assert (data["version"]["number"], data["extensions"]["fileSize"]) == (2, 2)
    assert call.get("/rest/api/content/search", params={"cql": "label = mine"}).json()["size"] == 1
    assert call.get("/api/v2/pages").status_code == 404


@pytest.mark.parametrize("action", ["create", "update", "attach", "label", "delete"])
def test_permissions_can_be_taken_away(wiki, sandbox, action):
    page = made(new_page(wiki))
    sandbox.change(Service.CONFLUENCE_CLOUD, denied=(action,))
    attach = f"/rest/api/content/{page['id']}/child/attachment"
    answers = {
        "create": lambda: new_page(wiki, "Other"),
        "update": lambda: update(wiki, page, number=2),
        "attach": lambda: wiki("PUT", attach, files={"file": ("a", b"1")}, headers=NO_CHECK),
        "label": lambda: wiki.post(f"/rest/api/content/{page['id']}/label", {"prefix": "global", "name": "x"}),
        "delete": lambda: wiki.delete(f"/api/v2/pages/{page['id']}"),
    }
    assert {name: ask().status_code == 403 for name, ask in answers.items()} == {
        name: name == action for name in answers
    }
