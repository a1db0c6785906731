"""What people do with pages, through atlassian-python-api: on Cloud and on Data Center."""

from __future__ import annotations

import pytest
from atlassian import Confluence, ConfluenceV2
from requests import HTTPError

from bot.sandbox import Service
from tests.sandbox.conftest import recorded


@pytest.fixture
def cloud(sandbox):
    with pytest.warns(DeprecationWarning, match="V1 methods"):  # which it says to everybody
        made = ConfluenceV2(f"{sandbox.confluence_cloud_url}/wiki", username=sandbox.email, password=sandbox.api_token)
    with recorded(made._session):
        yield made


@pytest.fixture
def rest(sandbox):
    """Return the client for what interface 2 of Cloud lacks: labels, files, search."""
    account = {"username": sandbox.email, "password": sandbox.api_token}
    made = Confluence(f"{sandbox.confluence_cloud_url}/wiki", cloud=False, **account)
    with recorded(made._impl._session):
        yield made


@pytest.fixture
def server(sandbox):
    made = Confluence(sandbox.confluence_datacenter_url, token=sandbox.bearer_token, cloud=False)
    with recorded(made._impl._session):
        yield made


SPACE = "65538"


def new_page(cloud, title="Run 4", parent=None):
    return cloud.create_page(SPACE, title, "<p>nDCG fell</p>", parent_id=parent)


def test_cloud_a_page_is_made_read_changed_and_deleted(cloud):
    page = new_page(cloud)
    changed = cloud.update_page(page["id"], "Run 4", "<p>nDCG recovered</p>", status="current", version=1)
    assert changed["version"]["number"] == 2
    read = cloud.get_page_by_id(page["id"], body_format="storage")
    assert read["body"]["storage"]["value"] == "<p>nDCG recovered</p>"
    assert [one["id"] for one in cloud.get_pages(space_id=SPACE, title="Run 4")] == [page["id"]]
    assert [one["number"] for one in cloud.get_page_versions(page["id"])["results"]] == [2, 1]
    cloud.delete_page(page["id"])
    assert cloud.get_page_by_id(page["id"])["status"] == "trashed"


def test_cloud_a_page_is_moved_below_another_and_beside_it(cloud, rest):
    above, page = new_page(cloud, "Runs"), new_page(cloud)
    home = page["parentId"]
    moved = rest._impl.put(f"rest/api/content/{page['id']}/move/append/{above['id']}")
    assert moved == {"pageId": page["id"]}
    assert cloud.get_page_by_id(page["id"])["parentId"] == above["id"]
    assert [one["title"] for one in cloud.get_child_pages(above["id"])] == ["Run 4"]
    found = rest.cql(f"ancestor = {above['id']}")["results"]
    assert [one["content"]["id"] for one in found] == [page["id"]]
    rest._impl.put(f"rest/api/content/{page['id']}/move/after/{above['id']}")
    assert cloud.get_page_by_id(page["id"])["parentId"] == home
    assert cloud.get_page_by_id(page["id"])["version"]["number"] == 1


@pytest.mark.parametrize(
    ("position", "target", "status"),
    [("append", "below", 400), ("append", "itself", 400), ("append", "999999999", 404), ("inside", "below", 400)],
)
def test_cloud_a_page_is_not_moved_below_itself_or_nowhere(cloud, rest, position, target, status):
    page = new_page(cloud)
    ids = {"below": new_page(cloud, "Below", page["id"])["id"], "itself": page["id"]}
    with pytest.raises(HTTPError) as refused:
        rest._impl.put(f"rest/api/content/{page['id']}/move/{position}/{ids.get(target, target)}")
    assert refused.value.response.status_code == status


def test_cloud_who_may_not_change_pages_may_not_move_them(cloud, rest, sandbox):
    above, page = new_page(cloud, "Runs"), new_page(cloud)
    sandbox.change(Service.CONFLUENCE_CLOUD, denied=("update",))
    with pytest.raises(HTTPError) as refused:
        rest._impl.put(f"rest/api/content/{page['id']}/move/append/{above['id']}")
    assert refused.value.response.status_code == 403


def test_cloud_labels_files_and_search_are_left_in_the_older_interface(cloud, rest):
    page = new_page(cloud)
    rest.set_page_label(page["id"], "regression")
    assert [one["name"] for one in cloud.get_page_labels(page["id"])] == ["regression"]
    assert [one["content"]["id"] for one in rest.cql('label = "regression"')["results"]] == [page["id"]]
    rest.remove_page_label(page["id"], "regression")
    assert cloud.get_page_labels(page["id"]) == []
    made = rest.attach_content(b"step 1", name="log.txt", content_type="text/plain", page_id=page["id"])
    file = made["results"][0]["id"]
    assert cloud.get(f"api/v2/attachments/{file}")["title"] == "log.txt"
    cloud.delete(f"api/v2/attachments/{file}")
    with pytest.raises(HTTPError):
        cloud.get(f"api/v2/attachments/{file}")


def test_cloud_comments_are_made_changed_and_deleted(cloud):
    page = new_page(cloud)
    body = lambda text: {"representation": "storage", "value": text}  # noqa: E731
    # Beside the list, the package asks addresses that Cloud does not have.
    made = cloud.post("api/v2/footer-comments", data={"pageId": page["id"], "body": body("<p>seen</p>")})
    changed = {"version": {"number": 2}, "body": body("<p>seen twice</p>")}
    cloud.put(f"api/v2/footer-comments/{made['id']}", data=changed)
    (kept,) = cloud.get_page_footer_comments(page["id"])
    assert (kept["body"]["storage"]["value"], kept["version"]["number"]) == ("<p>seen twice</p>", 2)
    with pytest.raises(HTTPError) as stale:
        cloud.put(f"api/v2/footer-comments/{made['id']}", data=changed)
    assert stale.value.response.status_code == 409
    cloud.delete(f"api/v2/footer-comments/{made['id']}")
    assert cloud.get_page_footer_comments(page["id"]) == []


def test_cloud_spaces_are_listed_and_the_older_list_is_gone(cloud, rest):
    assert [one["key"] for one in cloud.get_spaces()] == ["SR"]
    assert cloud.get_space(SPACE)["name"] == "Search & Recommendation"
    with pytest.raises(HTTPError) as gone:
        rest.get_all_spaces()
    assert gone.value.response.status_code == 410


def test_datacenter_a_page_is_made_read_changed_and_deleted(server):
    page = server.create_page("SR", "Run 4", "<p>nDCG fell</p>")
    server.update_page(page["id"], "Run 4", "<p>nDCG recovered</p>")
    read = server.get_page_by_id(page["id"], expand="body.storage,version")
    assert (read["body"]["storage"]["value"], read["version"]["number"]) == ("<p>nDCG recovered</p>", 2)
    assert server.get_page_id("SR", "Run 4") == page["id"]
    assert server.page_exists("SR", "Run 4")
    server.remove_page(page["id"])
    assert not server.page_exists("SR", "Run 4")
    server.remove_page_from_trash(page["id"])
    with pytest.raises(HTTPError):
        server.get(f"rest/api/content/{page['id']}", params={"status": "trashed"})


def test_datacenter_a_page_is_moved(server):
    above = server.create_page("SR", "Runs", "<p>all</p>")
    page = server.create_page("SR", "Run 4", "<p>nDCG fell</p>")
    server.move_page("SR", page["id"], target_title="Runs")
    assert server.get_child_id_list(above["id"]) == [page["id"]]
    assert server.get_page_ancestors(page["id"])[-1]["id"] == above["id"]
    server.move_page("SR", page["id"], target_id=above["id"], position="below")
    assert server.get_child_id_list(above["id"]) == []


def test_datacenter_labels_files_comments_and_search(server):
    page = server.create_page("SR", "Run 4", "<p>nDCG fell</p>")
    server.set_page_label(page["id"], "regression")
    assert [one["name"] for one in server.get_page_labels(page["id"])["results"]] == ["regression"]
    assert len(server.cql('label = "regression"')["results"]) == 1
    server.attach_content(b"step 1", name="log.txt", content_type="text/plain", page_id=page["id"])
    (file,) = server.get_attachments_from_content(page["id"])["results"]
    # The package would replace it by a PUT that Data Center does not describe.
    kept, unchecked = f"rest/api/content/{page['id']}/child/attachment/{file['id']}/data", server.no_check_headers
    server.post(kept, files={"file": ("log.txt", b"step 2", "text/plain")}, headers=unchecked)
    (file,) = server.get_attachments_from_content(page["id"])["results"]
    assert (file["title"], file["version"]["number"]) == ("log.txt", 2)
    server.remove_content(file["id"])
    assert server.get_attachments_from_content(page["id"])["results"] == []
    said = server.add_comment(page["id"], "<p>seen</p>")
    (kept,) = server.get_page_comments(page["id"], expand="body.storage")["results"]
    assert kept["body"]["storage"]["value"] == "<p>seen</p>"
    server.remove_content(said["id"])
    assert server.get_page_comments(page["id"])["results"] == []


def test_datacenter_spaces_are_listed(server):
    assert [one["key"] for one in server.get_all_spaces()["results"]] == ["SR"]
    assert server.get_space("SR", expand="homepage")["homepage"]["title"].endswith("Home")
