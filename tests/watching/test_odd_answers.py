"""A tracking server, or what stands before it, that answers 200 with something that MLflow never says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from bot.domain.runs import Release, Run, RunStatus
from bot.errors import RunStoreError
from bot.ports import Experiment, Selection
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUN = Run("a" * 32, "run", RunStatus.FINISHED, NOW, NOW)
SEARCH = Experiment("1", "search", NOW)
LOGIN = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>" + "x" * 100_000 + "</body></html>"
DEEP = 10_000

CALLS = {
    "experiments": lambda store: store.experiments(["search"]),
    "experiments by pattern": lambda store: store.experiments(["sea*"]),
    "runs": lambda store: list(store.runs_since(SEARCH, None, Selection())),
    "present": lambda store: store.present(["1"], [RUN.run_id]),
    "run of a fire": lambda store: store.run_of_fire("search", "fire", NOW),
    "release by run": lambda store: store.released(Release(run_id=RUN.run_id)),
    "release by alias": lambda store: store.released(Release(model="search", alias="production")),
    "end": lambda store: store.end_run(RUN.run_id),
    "load": lambda store: store.load(RUN),
    "log": lambda store: store.attach_log(RUN.run_id, Path(__file__)),
}
NO_ANSWERS = {
    "login page": LOGIN,
    "half of it": '{"runs": [{"info": {"run_id": "aa',
    "a list": "[1, 2, 3]",
    "a text": '"ok"',
    "a number": "1e999",
    "words": "all is well",
    "bytes": b"\x00\xff\xfe\x80",
    "too deep": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"runs":' * DEEP + "1" + "}" * DEEP,
    "wrong types": json.dumps(
        {
            name: {"oddly": ["put"]} if name in ("runs", "experiments", "files") else [7]
            for name in ("runs", "run", "experiment", "experiments", "run_info", "model_version", "files")
        }
    ),
}


@pytest.fixture
def store(httpserver: HTTPServer) -> MlflowRunStore:
    return MlflowRunStore(MlflowSection(tracking_uri=httpserver.url_for("").rstrip("/")))


def says(httpserver: HTTPServer, body: str | bytes, path: str | None = None, kind: str = "application/json") -> None:
    import re

    httpserver.expect_request(re.compile(".*" if path is None else f".*{path}.*")).respond_with_handler(
        lambda _: Response(body, 200, content_type=kind)
    )


@pytest.mark.parametrize("answer", NO_ANSWERS)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_is_none_ends_in_a_sentence(httpserver, store, call, answer):
    says(httpserver, NO_ANSWERS[answer], kind="text/html" if answer == "login page" else "application/json")
    with pytest.raises(RunStoreError) as raised:
        CALLS[call](store)
    words = str(raised.value)
    assert words.startswith("mlflow.tracking_uri: http://")
    assert "\n" not in words
    assert len(words) < 500
    assert "<" not in words


PAGE = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<p>The URL was not found.</p>\n"


@pytest.mark.parametrize(
    ("status", "words"), [(404, "what answers there is not MLflow"), (403, "The URL was not found.")]
)
def test_a_page_for_people_is_told_without_its_tags(httpserver, store, status, words):
    import re

    httpserver.expect_request(re.compile(".*")).respond_with_data(PAGE, status, content_type="text/html")
    with pytest.raises(RunStoreError) as raised:
        CALLS["experiments"](store)
    assert words in str(raised.value)
    assert "<" not in str(raised.value)


EMPTY = {
    "experiments": "an experiment without an id",
    "run of a fire": "an experiment without an id",
    "release by run": "a run without an id",
}


@pytest.mark.parametrize("call", EMPTY)
def test_an_empty_object_names_nothing(httpserver, store, call):
    says(httpserver, "{}")
    with pytest.raises(RunStoreError, match=EMPTY[call]):
        CALLS[call](store)


def one_run(**info: object) -> str:
    whole = {"run_id": RUN.run_id, "status": "FINISHED", "start_time": 1000, "end_time": 2000, "experiment_id": "1"}
    return json.dumps({"runs": [{"info": {**whole, **info}, "data": {}}]})


def runs(store: MlflowRunStore) -> list[Run]:
    return list(store.runs_since(SEARCH, None, Selection()))


@pytest.mark.parametrize(
    "info",
    [
        {"run_id": None},
        {"run_id": ""},
        {"run_id": 7},
        {"run_id": "x" * 1000},
        {"start_time": "yesterday"},
        {"end_time": [1]},
        {"end_time": 1e300},
        {"experiment_id": {"a": 1}},
        {"run_name": ["a"]},
    ],
    ids=str,
)
def test_a_run_of_which_a_field_is_something_else_ends_in_a_sentence(httpserver, store, info):
    says(httpserver, one_run(**info))
    with pytest.raises(RunStoreError, match=r"mlflow\.tracking_uri"):
        runs(store)


@pytest.mark.parametrize(
    "info",
    [{"run_name": None}, {"run_name": "\u0000"}, {"end_time": None}, {"start_time": None}, {"status": None}],
    ids=str,
)
def test_a_field_that_may_be_missing_is_made_up_for(httpserver, store, info):
    says(httpserver, one_run(**info))
    (run,) = runs(store)
    assert run.name
    run.name.encode()
    assert "\x00" not in run.name
    assert run.started <= run.ended


@pytest.mark.parametrize("end", [10**15, 10**18, 2**63 - 1, -(10**15), -1])
def test_a_time_that_no_calendar_has_is_no_time(httpserver, store, end):
    says(httpserver, one_run(end_time=end))
    (run,) = runs(store)
    assert run.started == run.ended == datetime(1971, 1, 1, tzinfo=UTC) or run.ended.year < 3000


@pytest.mark.parametrize("value", ["1e999", "-1e999", '"NaN"', '"Infinity"', "1e308", '"many"', "null", "[1]", "{}"])
def test_a_metric_that_is_no_number_is_told_or_taken_as_it_is(httpserver, store, value):
    body = one_run().replace('"data": {}', f'"data": {{"metrics": [{{"key": "ndcg", "value": {value}}}]}}')
    says(httpserver, body)
    try:
        (run,) = runs(store)
    except RunStoreError as error:
        assert str(error).startswith("mlflow.tracking_uri: http://")  # noqa: PT017  either is right
    else:
        assert isinstance(run.metrics["ndcg"], float)


def test_a_server_that_gives_the_same_page_again_is_left(httpserver, store):
    whole = json.loads(one_run())
    says(httpserver, json.dumps({**whole, "next_page_token": "again"}))
    with pytest.raises(RunStoreError, match="same page again"):
        runs(store)
    httpserver.clear()
    listed = {"experiments": [{"experiment_id": "1", "name": "search"}], "next_page_token": "again"}
    listed["experiments"][0]["lifecycle_stage"] = "active"
    says(httpserver, json.dumps(listed))
    with pytest.raises(RunStoreError, match="same page again"):
        store.experiments(["s*"])


def test_artifacts_behind_a_login_page_may_come_back(httpserver, store):
    whole = json.loads(one_run())["runs"][0]
    whole["info"]["artifact_uri"] = "mlflow-artifacts:/1/a"
    says(httpserver, json.dumps({"run": whole}), "/runs/get")
    says(httpserver, LOGIN, "/mlflow-artifacts/", kind="text/html")
    with pytest.raises(RunStoreError, match="cannot be had just now"):
        store.load(RUN)


def test_artifacts_that_are_kept_where_nothing_can_read_them_are_named(httpserver, store):
    whole = json.loads(one_run())["runs"][0]
    whole["info"]["run_id"] = "b" * 32
    whole["info"]["artifact_uri"] = "nowhere://bucket/a"
    says(httpserver, json.dumps({"run": whole}), "/runs/get")
    result = store.load(Run("b" * 32, "run", RunStatus.FINISHED, NOW, NOW, {"ndcg": 0.5}))
    (unread,) = result.unread
    assert (unread.artifact, unread.trouble) == ("artifacts", "not_had")
    assert "nowhere" in unread.detail
