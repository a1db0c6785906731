"""What a proxy, a login page or MLflow's own sign-in answers, word for word, and what Herald says of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from bot.errors import RefusedError, RunStoreError
from bot.ports import ANY_RUN, Experiment
from bot.services.mlflow.checks import RunsWanted, check_mlflow
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.missing_experiments import say_nothing_there
from bot.services.mlflow.run_store import MlflowRunStore
from tests.watching.bench import GOOD, Bench

# As nginx, Envoy and MLflow 2.22 with `--app-name basic-auth` answer.
_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx/1.25.3</center>\r\n</body>\r\n</html>\r\n"
)
_ENVOY = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
_SIGN_IN = (
    "You are not authenticated. Please see https://www.mlflow.org/docs/latest/auth/index.html#authenticating-to-mlflow "
    "on how to authenticate."
)
_LOCKED = '{"error_code": "INTERNAL_ERROR", "message": "(sqlite3.OperationalError) database is locked"}'


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    return monkeypatch


def asked(server: HTTPServer, status: int, body: str, address: str = "", kind: str = "text/html") -> RunStoreError:
    """Ask a server that always answers the same for an experiment; return what is said of it."""
    server.expect_request(re.compile(".*")).respond_with_data(body, status, content_type=kind)
    store = MlflowRunStore(MlflowSection(tracking_uri=address or server.url_for("").rstrip("/")))
    with pytest.raises(RunStoreError) as told:
        store.experiments(["search"])
    assert "\n" not in str(told.value)
    assert "<" not in str(told.value)
    return told.value


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (502, _NGINX.format("502 Bad Gateway"), "answers 502: a proxy is there that does not reach MLflow"),
        (503, _ENVOY, "answers 503: what is there does not reach MLflow, or is too busy"),
        (504, _NGINX.format("504 Gateway Time-out"), "answers 504: a proxy is there that waits for MLflow in vain"),
        (429, "Too Many Requests", "answers 429, too many requests: the next look asks again"),
        (500, _LOCKED, "INTERNAL_ERROR: .*database is locked"),
        (
            413,
            _NGINX.format("413 Request Entity Too Large"),
            "answers 413: a proxy is there that lets nothing so large",
        ),
        (
            524,
            _NGINX.format("524 A timeout occurred"),
            r"answers 524 \(A timeout occurred\), which is not MLflow's answer",
        ),
        (400, _NGINX.format("400 The plain HTTP request was sent to HTTPS port"), "it speaks TLS: .* begin with https"),
    ],
)
def test_an_answer_that_says_not_now_is_not_taken_for_none(httpserver, once, status, body, words):
    kind = "application/json" if body.startswith("{") else "text/html"
    told = asked(httpserver, status, body, kind=kind)
    assert re.search(words, str(told))
    assert "nothing answers there" not in str(told)
    assert not isinstance(told, RefusedError)


def test_repetitions_end_with_what_was_answered(httpserver, once):
    once.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    assert "answers 502" in str(asked(httpserver, 502, _NGINX.format("502 Bad Gateway")))
    assert len(httpserver.log) == 2 + 2  # its version and the experiment, each asked for twice


def test_a_log_that_a_proxy_finds_too_large_is_told_as_that(httpserver, once, tmp_path):
    info = {"run_id": "r1", "experiment_id": "1", "status": "FINISHED", "artifact_uri": "mlflow-artifacts:/1/r1"}
    httpserver.expect_request("/api/2.0/mlflow/runs/get").respond_with_json({"run": {"info": info, "data": {}}})
    too_large = _NGINX.format("413 Request Entity Too Large")
    httpserver.expect_request(re.compile(".*"), method="PUT").respond_with_data(too_large, 413)
    (tmp_path / "job.log").write_text("line")
    store = MlflowRunStore(MlflowSection(tracking_uri=httpserver.url_for("").rstrip("/")))
    with pytest.raises(RunStoreError, match="answers 413: a proxy is there that lets nothing so large through"):
        store.attach_log("r1", tmp_path / "job.log")


def test_a_login_page_that_one_is_led_to_is_told_as_one(httpserver, once):
    httpserver.expect_request("/login").respond_with_data("<html>Sign in</html>", content_type="text/html")
    httpserver.expect_request(re.compile("/(?!login).*")).respond_with_handler(
        lambda _: Response("", 302, {"Location": "/login"})
    )
    store = MlflowRunStore(MlflowSection(tracking_uri=httpserver.url_for("").rstrip("/")))
    with pytest.raises(RunStoreError, match="is not MLflow: is the address right, or a login page before it"):
        store.experiments(["search"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "asks who we are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
        ({"USERNAME": "herald"}, "asks who we are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ({"USERNAME": "herald", "PASSWORD": "0pensesame"}, "does not take the user and password that are set: check"),
        ({"TOKEN": "0pensesame"}, "does not take the token that is set: check MLFLOW_TRACKING_TOKEN"),
    ],
)
def test_who_has_given_an_account_is_not_told_to_give_one(httpserver, once, given, words):
    for name, value in given.items():
        once.setenv(f"MLFLOW_TRACKING_{name}", value)
    told = str(asked(httpserver, 401, _SIGN_IN))
    assert words in told
    assert "0pensesame" not in told


def test_an_account_in_the_address_is_named_by_where_it_stands(httpserver, once):
    address = httpserver.url_for("").rstrip("/").replace("http://", "http://herald:0pensesame@")
    told = str(asked(httpserver, 401, _SIGN_IN, address))
    assert "does not take the user and password of the address: check HERALD_MLFLOW__TRACKING_URI" in told
    assert "0pensesame" not in told


def test_what_an_account_may_not_read_is_named_with_the_permission_that_it_takes(httpserver, once):
    told = asked(httpserver, 403, "Permission denied")
    assert isinstance(told, RefusedError)
    assert "does not let Herald's account at experiment search: ask its owner for the permission READ" in str(told)
    assert "cannot be used" not in str(told)


def test_an_address_below_the_prefix_of_an_older_mlflow_is_led_to_the_right_one(httpserver, once):
    page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    told = str(asked(httpserver, 404, page, httpserver.url_for("/mlflow")))
    bare = httpserver.url_for("").rstrip("/")
    assert f"name {bare} in mlflow.tracking_uri, and the address with /mlflow in mlflow.ui_url" in told


def test_https_to_a_server_that_speaks_none_is_told_as_that(httpserver, once):
    told = str(asked(httpserver, 200, "", httpserver.url_for("").rstrip("/").replace("http://", "https://")))
    assert "does not speak TLS: should the address begin with http://?" in told


def test_a_name_that_no_machine_has_is_told_as_that(httpserver, once):
    assert "no machine of that name is known here" in str(asked(httpserver, 200, "", "http://mlflow.invalid:5000"))


def test_a_proxy_that_leads_nowhere_is_told_apart_from_mlflow(httpserver, once):
    once.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    told = str(asked(httpserver, 200, "", "http://mlflow.example.com"))
    assert "the proxy that HTTP_PROXY or HTTPS_PROXY names does not lead there" in told


def test_a_list_of_experiments_that_is_cut_says_so(bench: Bench):
    for number in range(8):
        bench.log(GOOD, bench.now(), experiment=f"e{number}")
    said = say_nothing_there("ranking", bench.herald().run_store)
    assert said.endswith("it has Default, e0, e1, e2, e3 and 4 more.")


def test_the_doctor_does_not_tell_to_name_the_server_that_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    from bot.errors import ArtifactsAwayError

    bench.log(GOOD, bench.now())
    store = bench.herald().run_store
    there = replace(store.experiments(["search"])[0], artifacts="mlflow-artifacts:/1")

    class Away:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def experiments(self, _: object) -> list[Experiment]:
            return [there]

        def load(self, _: object) -> None:
            raise ArtifactsAwayError("502 Server Error: Bad Gateway")

    wanted = RunsWanted("quality", "search", ("search",), ANY_RUN, {}, None, has_job=False, has_schedule=True)
    found = check_mlflow(MlflowSection(tracking_uri="http://mlflow.example.com"), [wanted], Away(), bench.now())
    said = next(each for each in found if each.name == "artifacts of quality")
    assert "see that it serves artifacts, and reaches where it keeps them" in said.remedy
    assert "name its address" not in said.remedy
