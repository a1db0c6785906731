"""What people do with tickets, through the package jira: on Cloud, on Data Center, and in interface 3."""

from __future__ import annotations

import io

import pytest
from atlassian import Jira
from jira import JIRA, JIRAError

from bot.sandbox import Service
from tests.sandbox.conftest import recorded

TEXT = "nDCG fell\nsince Monday"


def document(*lines):
    """Return a text as interface 3 takes it."""
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": paragraphs}


def connect(sandbox, kind):
    if kind == "datacenter":
        return JIRA(sandbox.jira_datacenter_url, token_auth=sandbox.bearer_token, max_retries=0)
    options = {"rest_api_version": "3" if kind == "cloud 3" else "2"}
    credentials = (sandbox.email, sandbox.api_token)
    return JIRA(sandbox.jira_cloud_url, basic_auth=credentials, options=options, max_retries=0)


@pytest.fixture(params=["cloud", "cloud 3", "datacenter"])
def kind(request):
    return request.param


@pytest.fixture
def client(sandbox, kind):
    made = connect(sandbox, kind)
    with recorded(made._session):
        yield made


@pytest.fixture
def rich(kind):
    """Write text as the interface has it."""
    return (lambda text: document(*text.split("\n"))) if kind == "cloud 3" else lambda text: text


@pytest.fixture
def issue(client, rich):
    return client.create_issue(
        project="SR", issuetype={"name": "Bug"}, summary="nDCG fell", description=rich(TEXT), labels=["herald"]
    )


def words(rich_text):
    """Return the words of a text of either interface."""
    if isinstance(rich_text, str):
        return rich_text
    found = [one.get("text", "") for one in rich_text.get("content", []) if one["type"] == "text"]
    return "\n".join(filter(None, [*found, *(words(one) for one in rich_text.get("content", []) if "content" in one)]))


def ada(client):
    """Return what the package looks a person up by."""
    return "ada@example.invalid" if client._is_cloud else "ada"


def raw(issue, name):
    return issue.raw["fields"][name]


def find(client, jql):
    found = client.enhanced_search_issues(jql) if client._is_cloud else client.search_issues(jql)
    return [one.key for one in found]


def test_a_ticket_is_made_read_changed_and_found(client, issue):
    read = client.issue(issue.key)
    assert (read.fields.summary, read.fields.labels, words(raw(read, "description"))) == ("nDCG fell", ["herald"], TEXT)
    read.update(fields={"summary": "Recall fell", "labels": ["herald", "urgent"]})
    read.add_field_value("labels", "later")
    assert sorted(client.issue(issue.key).fields.labels) == ["herald", "later", "urgent"]
    assert find(client, 'project = SR AND labels = "urgent"') == [issue.key]


def test_comments_are_made_changed_and_taken_back(client, issue, rich):
    comment = client.add_comment(issue.key, rich("seen"))
    assert words(comment.raw["body"]) == "seen"
    comment.update(body=rich("seen twice"))
    assert [words(one.raw["body"]) for one in client.comments(issue.key)] == ["seen twice"]
    comment.delete()
    assert client.comments(issue.key) == []


def test_a_ticket_goes_on_to_done(client, issue, rich):
    (done,) = [one["id"] for one in client.transitions(issue) if one["to"]["statusCategory"]["key"] == "done"]
    client.transition_issue(issue, done, fields={"resolution": {"name": "Done"}})
    read = client.issue(issue.key)
    assert (read.fields.status.statusCategory.key, read.fields.resolution.name) == ("done", "Done")
    changed = client.issue(issue.key, expand="changelog").changelog.histories
    assert "status" in [item.field for each in changed for item in each.items]


def test_tickets_are_linked_with_a_comment_or_without_and_parted(client, issue, rich):
    other = client.create_issue(project="SR", issuetype={"name": "Task"}, summary="Rerun")
    client.create_issue_link("Relates", issue.key, other.key)  # sends "comment": null
    client.create_issue_link("Blocks", issue.key, other.key, comment={"body": rich("because")})
    links = client.issue(issue.key).fields.issuelinks
    assert [one.type.name for one in links] == ["Relates", "Blocks"]
    assert client.issue_link(links[0].id).type.name == "Relates"
    assert {one.name for one in client.issue_link_types()} >= {"Relates", "Blocks"}
    client.delete_issue_link(links[0].id)
    assert len(client.issue(issue.key).fields.issuelinks) == 1


def test_pages_are_linked_and_parted(client, issue):
    made = client.add_simple_link(issue, {"url": "https://wiki.example/run", "title": "The run"})
    assert [one.object.title for one in client.remote_links(issue)] == ["The run"]
    assert client.remote_link(issue, made.id).object.url == "https://wiki.example/run"
    client.delete_remote_link(issue, internal_id=made.id)
    assert client.remote_links(issue) == []


def test_files_are_attached_read_and_deleted(client, issue):
    made = client.add_attachment(issue, io.BytesIO(b"step 1"), filename="log.txt")
    assert client.attachment(made.id).filename == "log.txt"
    assert made.get() == b"step 1"
    client.delete_attachment(made.id)
    assert client.issue(issue.key).fields.attachment == []


def test_a_ticket_is_handed_to_somebody_and_to_nobody(client, issue):
    name = "712020:7d1c0001-ada" if client._is_cloud else "ada"
    issue.update(assignee={"accountId": name} if client._is_cloud else {"name": name})
    assert client.issue(issue.key).fields.assignee.displayName == "Ada Okafor"
    client.assign_issue(issue, None)
    assert client.issue(issue.key).fields.assignee is None
    client.assign_issue(issue, ada(client))
    assert client.issue(issue.key).fields.assignee.displayName == "Ada Okafor"


def test_people_watch_and_stop(client, issue):
    client.add_watcher(issue, ada(client))
    assert [one.displayName for one in client.watchers(issue).watchers] == ["Ada Okafor"]
    client.remove_watcher(issue, ada(client))
    assert client.watchers(issue).watchCount == 0


def test_a_deleted_ticket_is_gone_with_all_that_hung_on_it(client, issue, sandbox, rich):
    client.add_comment(issue.key, rich("seen"))
    other = client.create_issue(project="SR", issuetype={"name": "Task"}, summary="Rerun")
    client.create_issue_link("Relates", issue.key, other.key)
    issue.delete()
    with pytest.raises(JIRAError) as gone:
        client.issue(issue.key)
    assert gone.value.status_code == 404
    assert client.issue(other.key).fields.issuelinks == []
    assert find(client, "project = SR") == [other.key]
    service = Service.JIRA_CLOUD if client._is_cloud else Service.JIRA_DATACENTER
    sandbox.change(service, denied=("DELETE_ISSUES",))
    with pytest.raises(JIRAError) as denied:
        other.delete()
    assert denied.value.status_code == 403


def test_a_site_is_looked_over(client, issue):
    assert [one.key for one in client.projects()] == ["SR"]
    assert client.project("SR").name == "Search & Recommendation"
    assert {one.name for one in client.project_components("SR")} == {"ranking", "retrieval", "data"}
    fields = client.editmeta(issue.key)["fields"]
    assert {"summary", "labels", "fixVersions", "description"} <= fields.keys()
    assert fields["priority"]["allowedValues"]
    assert "project" not in fields
    assert {one.name for one in client.issue_types()} >= {"Bug", "Task"}
    assert client.issue_type(client.issue_types()[0].id).name == client.issue_types()[0].name
    assert client.priority("3").name == client.priorities()[2].name
    assert client.status(client.statuses()[0].id).name == client.statuses()[0].name
    assert client.resolution(client.resolutions()[0].id).name == client.resolutions()[0].name
    assert {one.key for one in client.statuscategories()} == {"new", "indeterminate", "done"}
    assert client.myself()["displayName"] == "Herald"


def test_releases_are_made_named_on_tickets_and_deleted(client, issue):
    assert client.project_versions("SR") == []
    made = client.create_version("2026.11", "SR", description="November")
    issue.update(fields={"fixVersions": [{"name": "2026.11"}]})
    assert [one.name for one in client.issue(issue.key).fields.fixVersions] == ["2026.11"]
    made.update(released=True, name="2026.12")
    assert [(one.name, one.released) for one in client.project_versions("SR")] == [("2026.12", True)]
    with pytest.raises(JIRAError, match="not valid"):
        issue.update(fields={"fixVersions": [{"name": "2026.11"}]})
    with pytest.raises(JIRAError, match="already exists"):
        client.create_version("2026.12", "SR")
    client.version(made.id).delete()
    assert client.project_versions("SR") == []
    assert client.issue(issue.key).fields.fixVersions == []


@pytest.mark.parametrize("kind", ["cloud", "cloud 3"], indirect=True)
def test_cloud_finds_what_it_is_asked_by_post_too(client, issue):
    found = client.enhanced_search_issues("project = SR", use_post=True)  # sends "expand": null
    assert [one.key for one in found] == [issue.key]
    assert client.approximate_issue_count("project = SR") == 1


@pytest.mark.parametrize("kind", ["cloud", "cloud 3"], indirect=True)
def test_the_search_that_cloud_removed_sends_people_to_one_that_is_there(client, sandbox, jira, issue):
    gone = jira.get("/search", params={"jql": "project = SR"})
    assert gone.status_code == 410
    (named,) = [one for one in gone.json()["errorMessages"][0].split() if one.startswith("/rest/api/3/")]
    there = client._session.get(f"{sandbox.jira_cloud_url}{named}", params={"jql": "project = SR", "fields": "summary"})
    assert there.json()["issues"][0]["key"] == issue.key


@pytest.mark.parametrize("kind", ["cloud 3"], indirect=True)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("plain words", "Atlassian Document"),
        ({"type": "doc", "version": 2, "content": []}, "INVALID_INPUT"),
        ({"type": "doc", "version": 1, "content": [{"type": "mood"}]}, "INVALID_INPUT"),
        (document("two\nlines"), "INVALID_INPUT"),
        (document(""), "INVALID_INPUT"),
    ],
)
def test_interface_3_takes_nothing_but_documents(client, body, said):
    with pytest.raises(JIRAError) as refused:
        client.create_issue(project="SR", issuetype={"name": "Bug"}, summary="x", description=body)
    assert (refused.value.status_code, said in refused.value.text) == (400, True)
    made = client.create_issue(project="SR", issuetype={"name": "Bug"}, summary="x")
    with pytest.raises(JIRAError, match=r"not valid!|INVALID_INPUT"):
        client.add_comment(made.key, body)


@pytest.mark.parametrize("kind", ["cloud", "datacenter"], indirect=True)
def test_interface_2_takes_no_documents(client):
    with pytest.raises(JIRAError, match="must be a string"):
        client.create_issue(project="SR", issuetype={"name": "Bug"}, summary="x", description=document("x"))


@pytest.mark.parametrize("kind", ["cloud 3"], indirect=True)
def test_a_text_of_one_interface_is_read_in_the_other(client, sandbox, jira, ticket):
    key = jira.post("/issue", ticket(description="h3. Metrics\n\n* *nDCG* fell\n* recall {{0.8}}")).json()["key"]
    kinds = [one["type"] for one in raw(client.issue(key), "description")["content"]]
    assert kinds == ["heading", "bulletList"]
    told = {"type": "text", "text": "a*b", "marks": [{"type": "strong"}]}
    body = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [told]}]}
    client.add_comment(key, body)
    assert jira.get(f"/issue/{key}/comment").json()["comments"][0]["body"] == r"*a\*b*"
    assert raw(client.issue(key), "comment")["comments"][0]["body"] == body
    assert client.issue(key).self.startswith(f"{sandbox.jira_cloud_url}/rest/api/3/")


def test_data_center_has_no_interface_3(sandbox, jira_datacenter):
    assert jira_datacenter("GET", "/../3/myself").status_code == 404


def test_projects_are_searched_page_by_page_on_cloud_alone(jira, jira_datacenter):
    page = jira.get("/project/search", params={"query": "search"}).json()
    assert ([one["key"] for one in page["values"]], page["total"], page["isLast"]) == (["SR"], 1, True)
    assert jira.get("/project/search", params={"keys": "HR"}).json()["values"] == []
    assert jira_datacenter.get("/project/search").status_code == 404


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
def test_another_package_does_the_same(sandbox, deployment, tmp_path):
    if deployment == "cloud":
        client = Jira(sandbox.jira_cloud_url, username=sandbox.email, password=sandbox.api_token, cloud=True)
    else:
        client = Jira(sandbox.jira_datacenter_url, token=sandbox.bearer_token)
    with recorded(client._session):
        fields = {"project": {"key": "SR"}, "issuetype": {"name": "Bug"}, "labels": ["herald"]}
        key = client.issue_create(fields | {"summary": "nDCG fell"})["key"]
        other = client.issue_create(fields | {"summary": "Recall fell"})["key"]
        client.update_issue_field(key, {"summary": "Recall fell"})
        comment = client.issue_add_comment(key, "seen")["id"]
        client.issue_edit_comment(key, comment, "seen twice")
        assert [one["body"] for one in client.issue_get_comments(key)["comments"]] == ["seen twice"]
        client.create_issue_link(
            {"type": {"name": "Relates"}, "inwardIssue": {"key": key}, "outwardIssue": {"key": other}}
        )
        client.create_or_update_issue_remote_links(key, "https://wiki.example/run", "The run", global_id="run")
        assert [one["object"]["title"] for one in client.get_issue_remote_links(key)] == ["The run"]
        (tmp_path / "log.txt").write_text("step 1")
        client.add_attachment(key, str(tmp_path / "log.txt"))
        assert len(client.get_attachments_ids_from_issue(key)) == 1
        client.assign_issue(key, "712020:7d1c0001-ada" if deployment == "cloud" else "ada")
        client.set_issue_status(key, "Done")
        assert client.get_issue_status(key) == "Done"
        assert [one["key"] for one in client.projects()] == ["SR"]
        assert "summary" in client.issue_editmeta(key)["fields"]
        client.delete_issue(key)
        assert [one["key"] for one in client.jql("project = SR")["issues"]] == [other]
