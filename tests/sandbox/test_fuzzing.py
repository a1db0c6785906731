"""Generated requests find no answer that the services' descriptions do not allow (long: make contract)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bot.sandbox import serve
from tests.sandbox import contracts, sample_content

# Description, prefix of the stand-in -> operation ids as they stand in the file.
OPERATIONS = {
    ("jira-cloud-v2.json", "jira-cloud"): (
        "post2IssueV1",
        "get2IssueByIssueIdOrKeyV1",
        "post2IssueByIssueIdOrKeyTransitionsV1",
        "post2IssueByIssueIdOrKeyCommentV1",
        "get2SearchJqlV1",
    ),
    ("jira-datacenter.json", "jira-dc"): ("createIssue", "getIssue", "doTransition", "addComment", "search_1"),
    ("confluence-cloud-v2.json", "confluence-cloud"): ("createPage", "updatePage", "getPageById"),
}
EXAMPLES = int(os.environ.get("HERALD_FUZZ_EXAMPLES", "40"))  # for each operation


def declared(path: Path) -> set[str]:
    paths = json.loads(path.read_text(encoding="utf-8"))["paths"]
    operations = (one for methods in paths.values() for one in methods.values() if isinstance(one, dict))
    return {one["operationId"] for one in operations if "operationId" in one}


@pytest.mark.long
@pytest.mark.parametrize("ids", ["invented", "real"])
@pytest.mark.parametrize(("description", "service"), list(OPERATIONS))
def test_generated_requests_find_no_violation(description, service, ids, tmp_path):
    folder = contracts.folder()
    if folder is None:
        pytest.skip(f"{contracts.VARIABLE} names no folder with the services' descriptions")
    wanted = OPERATIONS[(description, service)]
    assert set(wanted) <= declared(folder / description), "an operation that is not there would pass in silence"
    with serve(None) as running:
        written = sample_content.write(running)
        if ids == "real":
            id_of_page = f'id = "{written.page}"\n' if service.startswith("confluence") else ""
            known = f'[parameters]\nissueIdOrKey = "SR-1"\n{id_of_page}'
            (tmp_path / "schemathesis.toml").write_text(known, encoding="utf-8")
        copy = with_undeclared(folder / description, service, tmp_path)
        output = run_schemathesis(running, copy, service, wanted, tmp_path)
    assert output.returncode == 0, output.stdout[-6000:] + output.stderr[-2000:]
    assert re.search(rf"Selected: {len(wanted)}/", output.stdout), output.stdout[-3000:]


# Statuses that the services give and their descriptions leave out.
UNDECLARED = {"jira-cloud": (), "jira-dc": ("401", "403", "404"), "confluence-cloud": ("403", "409")}


def with_undeclared(description: Path, service: str, folder: Path) -> Path:
    """Copy a description, with the statuses added that it is known to lack."""
    spec = json.loads(description.read_text(encoding="utf-8"))
    for methods in spec["paths"].values():
        for operation in (one for one in methods.values() if isinstance(one, dict)):
            for status in UNDECLARED[service]:
                operation["responses"].setdefault(status, {"description": "undeclared"})
    for path, methods in spec["paths"].items():
        if path.endswith("/issue/{issueIdOrKey}"):  # tickets can be deleted, though this copy was trimmed of that
            of_path = [one for one in methods["get"]["parameters"] if one["in"] == "path"]
            methods.setdefault("delete", {"parameters": of_path, "responses": {"204": {"description": "deleted"}}})
    copy = folder / description.name
    copy.write_text(json.dumps(spec), encoding="utf-8")
    return copy


def run_schemathesis(running, description, service, wanted, tmp_path):
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(description)]
    command += ["--url", f"{running.url}/{service}", "--checks", "all"]
    # Whether a body that breaks its schema is taken is the service's business, and credentials have their own tests.
    command += ["--exclude-checks", "positive_data_acceptance,negative_data_rejection,ignored_auth,unsupported_method"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"]
    for one in wanted:
        command += ["--include-operation-id", one]
    if service == "jira-dc":
        command += ["--header", f"Authorization: Bearer {running.bearer_token}"]
    else:
        command += ["--auth", f"{running.email}:{running.api_token}"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
