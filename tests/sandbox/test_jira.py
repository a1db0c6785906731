"""What Jira's stand-in grants and refuses, over HTTP."""

from __future__ import annotations

import pytest

from bot.sandbox import Resolution, Service


def open_ticket(jira, ticket, **more):
    answer = jira.post("/issue", ticket(**more))
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]


def errors(answer):
    assert answer.status_code == 400, answer.text
    return answer.json()["errors"]


def test_nobody_gets_in_without_credentials(either_jira, sandbox):
    assert either_jira.get("/myself", auth=None, headers={"Authorization": ""}).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert either_jira.get("/myself", auth=None, headers=wrong).status_code == 401


def test_each_deployment_says_what_it_is(jira, jira_datacenter):
    assert jira.get("/serverInfo").json()["deploymentType"] == "Cloud"
    assert jira_datacenter.get("/serverInfo").json()["deploymentType"] == "Server"


def test_a_ticket_can_be_opened_and_read_back(either_jira, ticket):
    key = open_ticket(either_jira, ticket, description="It fell.", labels=["b", "a"], priority={"name": "High"})
    fields = either_jira.get(f"/issue/{key}").json()["fields"]
    assert fields["summary"] == "nDCG fell"
    assert fields["labels"] == ["a", "b"]
    assert fields["priority"]["name"] == "High"
    assert fields["status"]["statusCategory"]["key"] == "new"


@pytest.mark.parametrize("missing", ["project", "summary", "issuetype"])
def test_a_missing_field_is_named(either_jira, ticket, missing):
    body = ticket()
    del body["fields"][missing]
    assert list(errors(either_jira.post("/issue", body))) == [missing]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("summary", "x" * 255),
        ("summary", "two\nlines"),
        ("description", "x" * 32_768),
        ("description", {"type": "doc"}),
        ("labels", ["with space"]),
        ("labels", ["x" * 256]),
        ("labels", "alone"),
        ("issuetype", {"name": "Nonsense"}),
        ("project", {"key": "NOPE"}),
        ("priority", {"name": "Nonsense"}),
        ("assignee", {"accountId": "nobody", "name": "nobody"}),
        ("components", [{"name": "nonsense"}]),
        ("duedate", "tomorrow"),
        ("customfield_10010", "many"),
        ("customfield_99999", "unknown"),
        ("sumary", "misspelt"),
        ("status", {"name": "Done"}),
    ],
)
def test_a_wrong_field_is_named(either_jira, ticket, field, value):
    assert list(errors(either_jira.post("/issue", ticket(**{field: value})))) == [field]


def test_the_longest_allowed_texts_are_taken(either_jira, ticket):
    key = open_ticket(either_jira, ticket, summary="x" * 254, description="x" * 32_767, labels=["x" * 255])
    assert either_jira.post(f"/issue/{key}/comment", {"body": "x" * 32_767}).status_code == 201
    assert "comment" in errors(either_jira.post(f"/issue/{key}/comment", {"body": "x" * 32_768}))


def test_what_may_not_be_seen_is_not_there(either_jira, sandbox, ticket):
    assert either_jira.get("/project/HR").status_code == 404
    assert "project" in errors(either_jira.post("/issue", ticket(project={"key": "HR"})))
    assert either_jira.get("/issue/HR-1").status_code == 404


def test_a_person_may_see_what_the_bot_may_not(jira, sandbox, ticket):
    ada = sandbox.seed.people[0]
    mine = {"auth": (ada.email, ada.api_token)}
    key = jira.post("/issue", ticket(project={"key": "HR"}), **mine).json()["key"]
    assert jira.get(f"/issue/{key}", **mine).status_code == 200
    assert jira.get(f"/issue/{key}").status_code == 404


def test_broken_json_is_refused_with_a_sentence(either_jira):
    answer = either_jira("POST", "/issue", content=b"{not json", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["errorMessages"][0]


def test_rules_can_demand_a_field_and_take_one_off_the_screen(either_jira, sandbox, ticket):
    for service in (Service.JIRA_CLOUD, Service.JIRA_DATACENTER):
        sandbox.change(service, required_fields=("customfield_10020",), off_screen=("priority",))
    refused = errors(either_jira.post("/issue", ticket(priority={"name": "High"})))
    assert refused["customfield_10020"] == "Affected team is required."
    assert "cannot be set" in refused["priority"]
    open_ticket(either_jira, ticket, customfield_10020="search")
    kind = "10004"
    answer = either_jira.get(f"/issue/createmeta/SR/issuetypes/{kind}").json()
    shown = {one["fieldId"]: one for one in answer.get("fields") or answer["values"]}
    assert shown["customfield_10020"]["required"] is True
    assert "priority" not in shown


def test_labels_can_be_added_and_removed_one_by_one(either_jira, ticket):
    key = open_ticket(either_jira, ticket, labels=["a"])
    assert either_jira.put(f"/issue/{key}", {"update": {"labels": [{"add": "b"}, {"remove": "a"}]}}).status_code == 204
    assert either_jira.get(f"/issue/{key}").json()["fields"]["labels"] == ["b"]


def test_an_edit_of_nothing_is_refused(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    assert either_jira.put(f"/issue/{key}", {}).status_code == 400


def test_bulk_creation_tells_which_failed(either_jira, ticket):
    answer = either_jira.post("/issue/bulk", {"issueUpdates": [ticket(), {"fields": {}}, ticket()]})
    assert answer.status_code == 201
    assert [one["key"] for one in answer.json()["issues"]] == ["SR-1", "SR-2"]
    assert answer.json()["errors"][0]["failedElementNumber"] == 1
    assert either_jira.post("/issue/bulk", {"issueUpdates": [{"fields": {}}]}).status_code == 400


# ---- search


def test_cloud_search_gives_tokens_and_no_total(jira, ticket):
    keys = [open_ticket(jira, ticket, labels=["mine"]) for _ in range(5)]
    found, token = [], None
    while True:
        query = {"jql": "labels = mine ORDER BY key ASC", "maxResults": 2, "fields": "summary"}
        page = jira.get("/search/jql", params=query | ({"nextPageToken": token} if token else {})).json()
        assert "total" not in page
        assert "startAt" not in page
        found += [one["key"] for one in page["issues"]]
        token = page.get("nextPageToken")
        assert page["isLast"] is (token is None)
        if not token:
            break
    assert found == keys


def test_cloud_search_answers_ids_alone_unless_asked(jira, ticket):
    open_ticket(jira, ticket)
    assert jira.get("/search/jql", params={"jql": "project = SR"}).json()["issues"] == [{"id": "10001"}]


def test_cloud_refuses_an_unbounded_query_and_the_removed_search(jira):
    assert "Unbounded" in jira.get("/search/jql", params={"jql": "ORDER BY created"}).text
    assert jira.get("/search", params={"jql": "project = SR"}).status_code == 410
    assert jira.post("/search", {"jql": "project = SR"}).status_code == 410
    assert jira.get("/issue/createmeta").status_code == 410


def test_datacenter_search_counts_and_knows_no_tokens(jira_datacenter, ticket):
    for _ in range(3):
        open_ticket(jira_datacenter, ticket)
    page = jira_datacenter.get("/search", params={"jql": "project = SR", "startAt": 1, "maxResults": 1}).json()
    assert (page["total"], page["startAt"], len(page["issues"])) == (3, 1, 1)
    assert jira_datacenter.get("/search/jql", params={"jql": "project = SR"}).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("labels = red", ["SR-1"]),
        ("labels in (red, green)", ["SR-1", "SR-2"]),
        ("labels not in (red)", ["SR-2"]),
        ("labels is EMPTY", ["SR-3"]),
        ("labels != red", ["SR-2"]),
        ("project = SR AND NOT labels = red", ["SR-2", "SR-3"]),
        ('status = "To Do"', ["SR-1", "SR-2", "SR-3"]),
        ("statusCategory != Done", ["SR-1", "SR-2", "SR-3"]),
        ("key in (SR-1, SR-3)", ["SR-1", "SR-3"]),
        ('summary ~ "third one"', ["SR-3"]),
        ("(labels = red OR labels = green) AND issuetype = Bug", ["SR-1", "SR-2"]),
        ("created >= -5m", ["SR-1", "SR-2", "SR-3"]),
        ('updated < "2020-01-01 00:00"', []),
        ("resolution is EMPTY AND reporter = currentUser()", ["SR-1", "SR-2", "SR-3"]),
        ("resolution = Unresolved", ["SR-1", "SR-2", "SR-3"]),
    ],
)
def test_queries_find_what_they_say(either_jira, ticket, query, found):
    open_ticket(either_jira, ticket, labels=["red"])
    open_ticket(either_jira, ticket, labels=["green"])
    open_ticket(either_jira, ticket, summary="The third one")
    path = "/search/jql" if "jira-cloud" in either_jira.base else "/search"
    answer = either_jira.get(path, params={"jql": f"{query} ORDER BY key ASC", "fields": "summary"})
    assert [one["key"] for one in answer.json()["issues"]] == found


@pytest.mark.parametrize(
    "query",
    [
        "nonsense = 1",
        "labels =",
        "labels ~ a",
        "project = NOPE",
        "(labels = a",
        "labels = a b",
        "created > soon",
        "=",
        "'",
        "(" * 500,
    ],
)
def test_a_query_that_makes_no_sense_is_refused(either_jira, query):
    path = "/search/jql" if "jira-cloud" in either_jira.base else "/search"
    answer = either_jira.get(path, params={"jql": query})
    assert answer.status_code == 400
    assert answer.json()["errorMessages"][0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("labels = a b", "expecting either 'OR' or 'AND' but got 'b'. (line 1, character 12)"),
        ("project = SR and not", "expecting a field name before the end of the query."),
        ("labels = a ! b", "'! b' is a reserved JQL character."),
        ("(" * 61 + "labels = a", "the query is nested too deeply."),
    ],
)
def test_a_refusal_says_where_a_query_stops_making_sense(jira, query, said):
    answer = jira.get("/search/jql", params={"jql": query})
    assert answer.json()["errorMessages"] == [f"Error in the JQL Query: {said}"]


def test_search_lags_and_reading_by_key_does_not(jira, sandbox, clock, ticket):
    sandbox.change(Service.JIRA_CLOUD, search_lag=30.0)
    key = open_ticket(jira, ticket, labels=["mine"])
    search = {"jql": "labels = mine", "fields": "summary"}
    assert jira.get("/search/jql", params=search).json()["issues"] == []
    assert jira.get(f"/issue/{key}").status_code == 200
    fresh = jira.get("/search/jql", params={**search, "reconcileIssues": "10001"}).json()
    assert [one["key"] for one in fresh["issues"]] == [key]
    clock.pass_by(31)
    assert len(jira.get("/search/jql", params=search).json()["issues"]) == 1


def test_a_lagging_search_still_answers_from_the_older_state(jira, sandbox, clock, ticket):
    key = open_ticket(jira, ticket, labels=["old"])
    clock.pass_by(60)
    sandbox.change(Service.JIRA_CLOUD, search_lag=30.0)
    jira.put(f"/issue/{key}", {"fields": {"labels": ["new"]}})
    assert len(jira.get("/search/jql", params={"jql": "labels = old"}).json()["issues"]) == 1
    assert jira.get("/search/jql", params={"jql": "labels = new"}).json()["issues"] == []


# ---- transitions


def transitions(jira, key, *, with_fields=True):
    query = {"expand": "transitions.fields"} if with_fields else {}
    found = jira.get(f"/issue/{key}/transitions", params=query).json()["transitions"]
    return {one["to"]["statusCategory"]["key"]: one for one in found}


def close(jira, key, **fields):
    wanted = transitions(jira, key)["done"]["id"]
    return jira.post(f"/issue/{key}/transitions", {"transition": {"id": wanted}, "fields": fields})


def test_closing_sets_a_resolution_and_reopening_takes_it_away(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    assert close(either_jira, key).status_code == 204
    fields = either_jira.get(f"/issue/{key}").json()["fields"]
    assert fields["resolution"]["name"] == "Done"
    back = transitions(either_jira, key)["new"]["id"]
    assert either_jira.post(f"/issue/{key}/transitions", {"transition": {"id": back}}).status_code == 204
    assert either_jira.get(f"/issue/{key}").json()["fields"]["resolution"] is None


@pytest.mark.parametrize(
    ("rule", "listed", "without", "with_one"),
    [
        (Resolution.NO_SCREEN, False, 204, 400),
        (Resolution.OPTIONAL, True, 204, 204),
        (Resolution.REQUIRED, True, 400, 204),
        (Resolution.REQUIRED_UNLISTED, False, 400, 204),
    ],
)
def test_a_transition_screen_may_demand_or_refuse_a_resolution(jira, sandbox, ticket, rule, listed, without, with_one):
    sandbox.change(Service.JIRA_CLOUD, resolution=rule)
    key = open_ticket(jira, ticket)
    assert ("resolution" in transitions(jira, key)["done"]["fields"]) is listed
    assert close(jira, key).status_code == without
    other = open_ticket(jira, ticket)
    assert close(jira, other, resolution={"name": "Won't Do"}).status_code == with_one


def test_fields_of_a_transition_show_only_on_demand(jira, ticket):
    key = open_ticket(jira, ticket)
    assert "fields" not in transitions(jira, key, with_fields=False)["done"]


def test_names_come_in_the_language_of_the_site(jira, sandbox, ticket):
    sandbox.change(Service.JIRA_CLOUD, language="de")
    key = open_ticket(jira, ticket)
    status = jira.get(f"/issue/{key}").json()["fields"]["status"]
    assert (status["name"], status["statusCategory"]["key"]) == ("Zu erledigen", "new")
    assert transitions(jira, key)["done"]["name"] == "Fertig"


def test_a_stepwise_workflow_forbids_short_cuts(jira, sandbox, ticket):
    sandbox.change(Service.JIRA_CLOUD, stepwise=True)
    key = open_ticket(jira, ticket)
    assert set(transitions(jira, key)) == {"indeterminate"}
    answer = jira.post(f"/issue/{key}/transitions", {"transition": {"id": "31"}})
    assert answer.status_code == 400


# ---- comments, properties, links, attachments


def test_comments_carry_properties(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    given = {"body": "Seen.", "properties": [{"key": "herald", "value": {"n": 1}}]}
    comment = either_jira.post(f"/issue/{key}/comment", given).json()
    assert "properties" not in either_jira.get(f"/issue/{key}/comment").json()["comments"][0]
    shown = either_jira.get(f"/issue/{key}/comment", params={"expand": "properties"}).json()["comments"][0]
    assert shown["properties"] == given["properties"]
    assert either_jira.put(f"/issue/{key}/comment/{comment['id']}", {"body": "Seen again."}).status_code == 200
    assert either_jira.get(f"/comment/{comment['id']}/properties/herald").json()["value"] == {"n": 1}


def test_an_empty_comment_is_refused(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    assert "comment" in errors(either_jira.post(f"/issue/{key}/comment", {"body": " "}))
    assert "comment" in errors(either_jira.post(f"/issue/{key}/comment", {"body": {"type": "doc"}}))


def test_a_ticket_takes_so_many_comments_and_no_more(jira, sandbox, ticket):
    sandbox.change(Service.JIRA_CLOUD, comment_limit=1)
    key = open_ticket(jira, ticket)
    assert jira.post(f"/issue/{key}/comment", {"body": "one"}).status_code == 201
    assert jira.post(f"/issue/{key}/comment", {"body": "two"}).status_code == 413


def test_properties_are_new_and_then_replaced(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    assert either_jira.put(f"/issue/{key}/properties/herald", {"a": 1}).status_code == 201
    assert either_jira.put(f"/issue/{key}/properties/herald", {"a": 2}).status_code == 200
    assert either_jira.get(f"/issue/{key}/properties/herald").json() == {"key": "herald", "value": {"a": 2}}
    assert either_jira.get(f"/issue/{key}/properties/other").status_code == 404
    assert either_jira.put(f"/issue/{key}/properties/herald", "x" * 32_768).status_code == 400


def test_properties_can_come_with_a_new_ticket(either_jira, ticket):
    body = ticket() | {"properties": [{"key": "herald", "value": "m-1"}]}
    key = either_jira.post("/issue", body).json()["key"]
    shown = either_jira.get(f"/issue/{key}", params={"properties": "herald"}).json()
    assert shown["properties"] == {"herald": "m-1"}


def test_a_remote_link_with_a_global_id_is_replaced(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    link = {"globalId": "g1", "object": {"url": "http://x.invalid/1", "title": "One", "summary": "first"}}
    assert either_jira.post(f"/issue/{key}/remotelink", link).status_code == 201
    again = {"globalId": "g1", "object": {"url": "http://x.invalid/2", "title": "Two"}}
    assert either_jira.post(f"/issue/{key}/remotelink", again).status_code == 200
    (kept,) = either_jira.get(f"/issue/{key}/remotelink").json()
    assert kept["object"] == again["object"]
    anonymous = {"object": {"url": "http://x.invalid/3", "title": "Three"}}
    assert [either_jira.post(f"/issue/{key}/remotelink", anonymous).status_code for _ in range(2)] == [201, 201]
    assert len(either_jira.get(f"/issue/{key}/remotelink").json()) == 3


def test_a_remote_link_needs_a_title_and_a_url(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    answer = either_jira.post(f"/issue/{key}/remotelink", {"object": {"title": "x", "url": "javascript:alert(1)"}})
    assert "url" in errors(answer)
    assert "title" in errors(either_jira.post(f"/issue/{key}/remotelink", {"object": {"url": "http://x.invalid"}}))


def test_linked_tickets_see_each_other(either_jira, ticket):
    first, second = open_ticket(either_jira, ticket), open_ticket(either_jira, ticket)
    link = {"type": {"name": "Blocks"}, "inwardIssue": {"key": first}, "outwardIssue": {"key": second}}
    assert either_jira.post("/issueLink", link).status_code == 201
    (seen,) = either_jira.get(f"/issue/{first}").json()["fields"]["issuelinks"]
    assert seen["outwardIssue"]["key"] == second
    link["type"]["name"] = "Nonsense"
    assert either_jira.post("/issueLink", link).status_code == 404


def test_attachments_need_the_header_against_forgery(either_jira, ticket):
    key = open_ticket(either_jira, ticket)
    files = {"file": ("chart.png", b"\x89PNG", "image/png")}
    assert either_jira("POST", f"/issue/{key}/attachments", files=files).status_code == 403
    answer = either_jira("POST", f"/issue/{key}/attachments", files=files, headers={"X-Atlassian-Token": "no-check"})
    (shown,) = answer.json()
    assert (shown["filename"], shown["mimeType"], shown["size"]) == ("chart.png", "image/png", 4)
    assert either_jira.get("/nonsense").status_code == 404
    assert either_jira.get(f"/attachment/content/{shown['id']}").content == b"\x89PNG"


def test_data_center_takes_only_the_exact_header(jira_datacenter, ticket):
    key = open_ticket(jira_datacenter, ticket)
    files = {"file": ("a.txt", b"a")}
    headers = {"X-Atlassian-Token": "nocheck"}
    assert jira_datacenter("POST", f"/issue/{key}/attachments", files=files, headers=headers).status_code == 403


def test_an_attachment_too_large_is_refused(jira, sandbox, ticket):
    sandbox.change(Service.JIRA_CLOUD, attachment_limit=3)
    key = open_ticket(jira, ticket)
    headers = {"X-Atlassian-Token": "no-check"}
    answer = jira("POST", f"/issue/{key}/attachments", files={"file": ("a.txt", b"1234")}, headers=headers)
    assert answer.status_code == 413


def test_what_is_uploaded_cannot_run_in_the_browser(jira, sandbox, ticket):
    key = open_ticket(jira, ticket)
    files = {"file": ("evil.html", b"<script>alert(1)</script>", "text/html")}
    headers = {"X-Atlassian-Token": "no-check"}
    (shown,) = jira("POST", f"/issue/{key}/attachments", files=files, headers=headers).json()
    answer = jira.get(f"/attachment/content/{shown['id']}")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_watchers_are_named_by_a_bare_string(jira, jira_datacenter, sandbox, ticket):
    ada = sandbox.seed.people[0]
    for caller, name in ((jira, ada.account_id), (jira_datacenter, ada.name)):
        key = open_ticket(caller, ticket)
        assert caller.post(f"/issue/{key}/watchers", name).status_code == 204
        assert caller.get(f"/issue/{key}/watchers").json()["watchCount"] == 1
        assert caller.post(f"/issue/{key}/watchers", {"accountId": name}).status_code == 400


@pytest.mark.parametrize(
    ("permission", "status"), [("CREATE_ISSUES", 403), ("BROWSE_PROJECTS", 201), ("ADD_COMMENTS", 201)]
)
def test_permissions_can_be_taken_away(jira, sandbox, ticket, permission, status):
    sandbox.change(Service.JIRA_CLOUD, denied=(permission,))
    asked = {"permissions": permission, "projectKey": "SR"}
    assert jira.get("/mypermissions", params=asked).json()["permissions"][permission]["havePermission"] is False
    assert jira.post("/issue", ticket()).status_code == status


def test_tickets_outlive_the_server(tmp_path, ticket):
    from bot.sandbox import serve
    from tests.sandbox.conftest import Caller

    for expected in ("SR-1", "SR-2"):
        with serve(tmp_path / "sandbox.db") as running:
            caller = Caller(f"{running.jira_cloud_url}/rest/api/2", (running.email, running.api_token))
            assert caller.post("/issue", ticket()).json()["key"] == expected


def test_groups_and_roles_tell_who_is_in_them(jira, jira_datacenter, sandbox):
    ada = sandbox.seed.people[0]
    [group] = jira.get("/user/groups", params={"accountId": ada.account_id}).json()
    assert group["name"] == "search-leads"
    user = jira_datacenter.get("/user", params={"username": "ada", "expand": "groups"}).json()
    assert [each["name"] for each in user["groups"]["items"]] == ["search-leads"]
    for each in (jira, jira_datacenter):
        address = each.get("/project/SR/role").json()["Developers"]
        actors = each.get("/project/SR/role/" + address.rpartition("/")[2]).json()["actors"]
        assert [actor["displayName"] for actor in actors] == ["Lin Wei", "search-leads"]
        assert each.get("/project/SR/role/7").status_code == 404
    sandbox.change(Service.JIRA_CLOUD, denied=["ADMINISTER_PROJECTS"])
    assert jira.get("/project/SR/role").status_code == 403


def test_a_second_way_to_close_and_a_screen_on_it(either_jira, sandbox, ticket):
    for service in (Service.JIRA_CLOUD, Service.JIRA_DATACENTER):
        sandbox.change(service, rejecting=True, transition_fields=["customfield_10020"])
    key = either_jira.post("/issue", ticket()).json()["key"]
    ways = either_jira.get(f"/issue/{key}/transitions", params={"expand": "transitions.fields"}).json()["transitions"]
    assert [(each["to"]["name"], sorted(each["fields"])) for each in ways] == [
        ("In Progress", []),
        ("Done", ["customfield_10020", "resolution"]),
        ("Rejected", ["customfield_10020", "resolution"]),
    ]
    refused = either_jira.post(f"/issue/{key}/transitions", {"transition": {"id": "41"}})
    assert refused.json()["errors"] == {"customfield_10020": "customfield_10020 is required."}
    filled = {"transition": {"id": "41"}, "fields": {"customfield_10020": "Search"}}
    assert either_jira.post(f"/issue/{key}/transitions", filled).status_code == 204
