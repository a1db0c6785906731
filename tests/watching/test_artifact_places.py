"""What runs keep behind a tracking server, as MLflow's own server answers: asked for once, and awaited where it is away."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from bot.domain.job_protocol import CARD_FILE
from bot.domain.runs import DataCard, Run, Trouble
from bot.errors import ArtifactsAwayError
from bot.ports import ANY_RUN, Experiment
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from bot.services.mlflow.times import EARLIEST

_EXPERIMENT = Experiment("1", "search", EARLIEST, "mlflow-artifacts:/1")
_API = "/api/2.0/mlflow-artifacts/artifacts"
_SWITCHED_OFF = (  # as a server answers that was started with --no-serve-artifacts
    f"Endpoint: {_API} disabled due to the mlflow server running with `--no-serve-artifacts`. To enable artifacts "
    "server functionality, run `mlflow server` with `--serve-artifacts`"
)
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def run(run_id: str) -> dict[str, object]:
    times = {"start_time": 1_700_000_000_000, "end_time": 1_700_000_060_000}
    names = {"run_id": run_id, "run_uuid": run_id, "run_name": run_id, "experiment_id": "1"}
    info = {**times, **names, "status": "FINISHED", "lifecycle_stage": "active"}
    return {"info": {**info, "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts"}, "data": {}}


class Tracking:
    """A tracking server with three runs, each of which keeps a card."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.says: dict[str, Response] = {}  # in the place of an answer, by how its path begins
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        self.store = MlflowRunStore(MlflowSection(tracking_uri=server.url_for("").rstrip("/")))

    def _answer(self, request: Request) -> Response:
        instead = next((said for path, said in self.says.items() if request.path.startswith(path)), None)
        if instead is not None:
            return Response(instead.get_data(), instead.status, instead.headers)
        if request.path == "/version":
            return Response("3.17.2", content_type="text/html; charset=utf-8")
        if request.path.endswith("/runs/search"):
            return _json({"runs": [run(f"r{number}") for number in range(3)]})
        if request.path.endswith("/runs/get"):
            return _json({"run": run(request.args["run_id"])})
        if request.path == _API:
            return _json({"files": [{"path": CARD_FILE, "is_dir": False, "file_size": 20}]})
        if request.path.startswith(f"{_API}/"):
            return Response(json.dumps({"rows_in": 7}), content_type="application/octet-stream")
        return Response("{}", 404, content_type="application/json")

    def runs(self) -> list[Run]:
        found = list(self.store.newest(_EXPERIMENT, 3, ANY_RUN))
        self.server.log.clear()
        return found

    @property
    def asked(self) -> Counter[str]:
        paths = (request.path for request, _ in self.server.log)
        return Counter(re.sub(r"/r\d/", "/RUN/", path).removeprefix("/api/2.0") for path in paths)


def _json(told: dict[str, object]) -> Response:
    return Response(json.dumps(told), content_type="application/json")


@pytest.fixture
def tracking(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Tracking(httpserver)


def test_what_a_run_keeps_takes_a_list_and_a_request_a_file(tracking):
    for each in tracking.runs():
        assert tracking.store.load(each).card.numbers == {"rows_in": 7.0}
    assert tracking.asked == {
        "/mlflow-artifacts/artifacts": 3,
        "/mlflow-artifacts/artifacts/1/RUN/artifacts/data_card.json": 3,
    }


def test_a_card_that_is_known_is_not_asked_for(tracking):
    known = DataCard({"rows_in": 8.0})
    assert tracking.store.load(tracking.runs()[0], known).card == known
    assert tracking.asked == {"/mlflow-artifacts/artifacts": 1}


def test_a_run_that_no_search_has_told_of_is_asked_for_where_it_keeps_them(tracking):
    found = tracking.runs()[0]
    unknowing = Tracking(tracking.server).store
    assert unknowing.load(found).card.numbers == {"rows_in": 7.0}
    assert tracking.asked["/mlflow/runs/get"] == 1


def test_a_file_that_a_proxy_does_not_give_just_now_is_waited_for(tracking):
    found = tracking.runs()[0]
    tracking.says[f"{_API}/"] = Response(_BAD_GATEWAY, 502, content_type="text/html")
    with pytest.raises(
        ArtifactsAwayError, match=r"data_card\.json cannot be had just now: the server answers 502 \(BAD GATEWAY\)$"
    ):
        tracking.store.load(found)
    tracking.says.clear()
    assert tracking.store.load(found).card.numbers == {"rows_in": 7.0}


def test_a_file_that_is_gone_is_named_in_the_words_of_what_lacks_it(tracking):
    found = tracking.runs()[0]
    tracking.says[f"{_API}/"] = Response("", 404)
    (unread,) = tracking.store.load(found).unread
    assert unread.trouble is Trouble.NOT_HAD
    assert unread.detail == "the server answers 404 (NOT FOUND)"


def test_what_mlflow_says_of_a_file_is_said_and_its_address_is_not(tracking):
    found = tracking.runs()[0]
    tracking.says[f"{_API}/"] = _json({"error_code": "BAD_REQUEST", "message": "Invalid path"})
    tracking.says[f"{_API}/"].status_code = 400
    (unread,) = tracking.store.load(found).unread
    assert unread.detail == "the server answers 400 (BAD REQUEST): Invalid path"


def test_a_server_that_is_told_to_serve_no_artifacts_is_asked_for_those_of_one_run(tracking):
    found = tracking.runs()
    tracking.says[_API] = Response(_SWITCHED_OFF, 503, content_type="text/html")
    for each in found:
        (unread,) = tracking.store.load(each).unread
        assert unread.trouble is Trouble.NOT_HAD
        assert unread.detail == "MLflow's server is told to give none (it runs with --no-serve-artifacts)"
    assert tracking.asked == {"/mlflow-artifacts/artifacts": 1}
