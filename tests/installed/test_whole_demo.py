"""The whole demo, told by the wheel in a clean environment."""

import json

import pytest

pytestmark = pytest.mark.long


def test_the_whole_demo_is_told_from_the_wheel(install):
    told = json.loads(install("[demo]").run("herald", "demo", "--no-wait", "--json"))
    assert [run["outcome"] for run in told["runs"]][3:] == ["regressed", "regressed", "ok"]
    assert len(told["runs"]) == 6
    (ticket,) = told["tickets"]
    assert ticket["status"] == "Done"
    assert len(told["messages"]) == 1
    (diagnosis,) = told["diagnoses"]
    assert diagnosis["likeliest"]["components"] == ["data"]
    assert diagnosis["likeliest"]["probability"] >= 0.95
    assert "Which change did it: the data" in "\n".join(ticket["comments"])
    assert [words for words in ("/herald why", "/herald fixed") if words not in "\n".join(ticket["comments"])] == []
    assert "Fixed." in ticket["comments"][-1]
