"""What Ray answers, as it was recorded, and what Herald makes of it; and of answers that are none of Ray's."""

import json
import time
from contextlib import nullcontext
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from werkzeug import Response

from bot.errors import ExecutorAwayError
from bot.executors.cluster_section import ExecutorWants, JobWants
from bot.executors.ray.answers import OWNER, read_job, refusal_in, status_of
from bot.executors.ray.checks import check_ray
from bot.executors.ray.config import RaySection
from bot.executors.ray.connection import NotDoneError, RayConnection, UnknownJobError
from bot.executors.ray.executor import RayExecutor
from bot.executors.ray.log_stream import part_from
from bot.ports import Job, JobState

HOUR = timedelta(hours=1)
NO_IMAGE = """runtime_env setup failed: Failed to set up runtime environment.
Could not create the actor because its associated runtime env failed to be created.
[Node 192.0.2.2] Traceback (most recent call last):
  File "asyncio/base_events.py", line 1694, in subprocess_exec
FileNotFoundError: [Errno 2] No such file or directory: 'podman'
"""
NO_FOLDER = """Failed to start supervisor actor f-4: '/nowhere is not a valid path.'. Full traceback:
Traceback (most recent call last):
FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'
"""
TOO_LONG = "Job supervisor actor failed to start within 900.0 seconds. This timeout can be configured"


def status(name: str, **more):
    return status_of(read_job({"status": name, **more}), HOUR)


@pytest.mark.parametrize(
    ("answer", "state", "code", "said"),
    [
        (
            {"status": "PENDING", "message": "Job has not started yet. It may wait."},
            JobState.QUEUED,
            None,
            "It may wait.",
        ),
        ({"status": "RUNNING", "message": "Job is currently running."}, JobState.RUNNING, None, ""),
        ({"status": "SUCCEEDED"}, JobState.ENDED, 0, ""),
        ({"status": "STOPPED"}, JobState.ENDED, None, "It was stopped on Ray."),
        ({"status": "FAILED", "driver_exit_code": 3}, JobState.ENDED, 3, ""),
        ({"status": "FAILED", "driver_exit_code": -9}, JobState.ENDED, 137, ""),
        (
            {"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": NO_IMAGE},
            JobState.ENDED,
            None,
            "podman",
        ),
        (
            {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_FAILURE", "message": NO_FOLDER},
            JobState.ENDED,
            None,
            "/nowhere",
        ),
        (
            {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "message": TOO_LONG},
            JobState.ENDED,
            None,
            "900.0 seconds",
        ),
        (
            {
                "status": "FAILED",
                "error_type": "JOB_SUPERVISOR_ACTOR_DIED",
                "message": "Job supervisor actor died: its node went",
            },
            JobState.LOST,
            None,
            "its node went",
        ),
        (
            {
                "status": "FAILED",
                "error_type": "JOB_SUPERVISOR_ACTOR_START_FAILURE",
                "message": "Unexpected error occurred: failed to get job supervisor.",
            },
            JobState.LOST,
            None,
            "failed to get job supervisor",
        ),
        (
            {
                "status": "FAILED",
                "error_type": "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
                "message": "Unexpected error occurred: x",
            },
            JobState.LOST,
            None,
            "Unexpected error",
        ),
        ({"status": "FAILED"}, JobState.LOST, None, "does not say why"),
        ({"status": "MOVING"}, JobState.RUNNING, None, "MOVING"),
    ],
)
def test_failed_is_believed_only_where_an_exit_code_or_a_reason_before_the_start_says_so(answer, state, code, said):
    found = status_of(read_job(answer), HOUR)
    assert (found.state, found.exit_code) == (state, code)
    assert said in found.said


def test_a_job_timed_out_where_it_was_ended_after_its_time():
    begun = {"start_time": 1_000_000, "driver_exit_code": 124}
    assert status("FAILED", **begun, end_time=1_000_000 + 3_600_000).timed_out
    assert not status("FAILED", **begun, end_time=1_000_000 + 3_000_000).timed_out  # it chose that code itself
    assert status("FAILED", start_time=1, driver_exit_code=137, end_time=3_700_000).timed_out


def test_a_refusal_is_the_last_line_of_a_traceback():
    text = "Traceback (most recent call last):\n  File x\nValueError: Job with submission_id f already exists.\n.\n"
    assert refusal_in(text) == "ValueError: Job with submission_id f already exists."


@given(st.text(max_size=60), st.integers(1, 40), st.integers(1, 30), st.booleans())
def test_a_log_that_comes_in_pieces_is_read_as_it_is(text, size, limit, ascii_only):
    text = text.encode("utf-8", "replace").decode().rstrip("\ufffd")
    body = json.dumps({"logs": text}, ensure_ascii=ascii_only).encode()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    whole, offset = b"", 0
    while part := part_from(chunks, offset, max(limit, 4)):
        assert len(part) <= max(limit, 4)
        whole, offset = whole + part, offset + len(part)
    assert whole.decode() == text


def test_a_character_that_is_half_written_is_left_for_the_next_part():
    assert part_from([b'{"logs": "a\\ufffd"}'], 0, 100) == b"a"


@pytest.mark.parametrize("body", [b"", b"<html>" * 300, b'{"logs": "breaks o', b'{"logs": null}'])
def test_what_is_no_log_is_none(body):
    with pytest.raises(ValueError):
        part_from([body], 0, 100)


@pytest.fixture
def section(httpserver):
    return RaySection(url=httpserver.url_for("/"), token=SecretStr("s3cret"), timeout="2s")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response("Forbidden: Invalid authentication token", 403), "refuses who asks (403): check its token"),
        (Response("Unauthorized: Missing authentication token", 401), "refuses who asks (401)"),
        (Response("<html>log in</html>", 200), "answers 200, and not as Ray does: '<html>log in</html>'"),
        (Response("", 302, {"Location": "http://elsewhere/"}), "sends us elsewhere"),
        (Response("404: Not Found", 404), "answers 404, and not as Ray does"),
        (Response("[1]", 200), "answers 200, and not as Ray does"),
        (Response("[" * 100_000, 200), "answers 200, and not as Ray does: '[[["),
    ],
)
def test_who_answers_otherwise_than_ray_is_away(httpserver, section, answer, said):
    httpserver.expect_request("/api/version").respond_with_response(answer)
    with pytest.raises(ExecutorAwayError, match="Ray at http") as found:
        RayConnection(section).ask("GET", "/api/version")
    assert said in str(found.value)
    assert "s3cret" not in str(found.value)


def test_nobody_there_is_away(httpserver):
    section = RaySection(url="http://127.0.0.1:9", timeout="2s")
    with pytest.raises(ExecutorAwayError, match="takes no connection, or broke it off"):
        RayConnection(section).ask("GET", "/api/version")


def test_no_such_job_and_not_done_are_two_things(httpserver, section):
    httpserver.expect_request("/api/jobs/f").respond_with_data("Job f does not exist", 404, content_type=PLAIN)
    httpserver.expect_request("/api/jobs/g").respond_with_data(
        "500 Internal Server Error\n\nServer got itself in trouble", 500
    )
    ray = RayConnection(section)
    with pytest.raises(UnknownJobError):
        ray.ask("GET", "/api/jobs/f")
    with pytest.raises(NotDoneError, match="Server got itself in trouble"):
        ray.ask("GET", "/api/jobs/g")
    assert httpserver.log[0][0].headers["Authorization"] == "Bearer s3cret"


PLAIN = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<html>The page f does not exist</html>", "text/html"),
        ("<html>Job f does not exist</html>", "text/html"),
        ("Service ray-head does not exist", PLAIN),
        ("Job other does not exist", PLAIN),
        ('{"message": "Job f does not exist"}', "application/json"),
    ],
)
@pytest.mark.parametrize("what", ["", "/logs"])
def test_only_rays_own_words_of_this_job_say_that_it_is_gone(httpserver, section, text, kind, what):
    httpserver.expect_request(f"/api/jobs/f{what}").respond_with_data(text, 404, content_type=kind)
    ray = RayConnection(section)
    with pytest.raises(ExecutorAwayError), ray.stream(f"/api/jobs/f{what}") if what else nullcontext():
        ray.ask("GET", f"/api/jobs/f{what}")


def test_a_job_that_ray_does_not_know_is_lost_only_once_it_has_said_so_again(httpserver, section, tmp_path):
    job = Job("f", ("true",), tmp_path, tmp_path, {}, HOUR, owner="herald/search")
    unknown = Response("Job f does not exist", 404, content_type=PLAIN)
    known = {"status": "RUNNING", "metadata": {OWNER: "herald/search"}}
    httpserver.expect_ordered_request("/api/jobs/f").respond_with_response(unknown)
    httpserver.expect_ordered_request("/api/jobs/f").respond_with_json(known)
    for _ in range(2):
        httpserver.expect_ordered_request("/api/jobs/f").respond_with_response(unknown)
    ray = RayExecutor(section, timedelta(seconds=0.2))
    assert ray.look(job).said == "Ray says that it does not know it, and is asked again."
    assert ray.look(job).said == ""
    time.sleep(0.3)
    assert ray.look(job).state is JobState.RUNNING
    time.sleep(0.3)
    assert ray.look(job).state is JobState.LOST


def test_a_job_that_ray_says_is_there_and_does_not_show_is_asked_for_again(httpserver, section, tmp_path):
    job = Job("f", ("true",), tmp_path, tmp_path, {}, HOUR, owner="herald/search")
    refusal = "RuntimeError: Request failed with status code 400: Job with submission_id f already exists."
    httpserver.expect_request("/api/version").respond_with_json({"session_name": "s"})
    httpserver.expect_request("/api/jobs/", method="POST").respond_with_data(refusal, 500)
    httpserver.expect_request("/api/jobs/f").respond_with_data("Job f does not exist", 404, content_type=PLAIN)
    with pytest.raises(ExecutorAwayError, match="already exists"):
        RayExecutor(section).submit(job)


def test_the_doctor_says_what_no_node_has(httpserver, section):
    report = {
        "data": {
            "clusterStatus": {
                "loadMetricsReport": {"nodeTypes": [[{"CPU": 2.0, "memory": 4e9}, 1], [{"CPU": 8.0, "memory": 2e9}, 3]]}
            }
        }
    }
    httpserver.expect_request("/api/version").respond_with_json({"ray_version": "2.60.0", "session_name": "s"})
    httpserver.expect_request("/api/cluster_status").respond_with_json(report)
    jobs = {
        "small": JobWants(("x",), cpus=8),
        "wide": JobWants(("x",), cpus=8, memory=4 * 10**9),
        "gpu": JobWants(("x",), gpus=1),
    }
    checks = {check.name: check for check in check_ray(section, ExecutorWants(jobs, "http://mlflow"))}
    assert checks["address"].said.endswith("answers: Ray 2.60.0")
    assert checks["jobs of small"].ok
    assert not checks["jobs of wide"].ok
    assert checks["jobs of gpu"].said == "no node has what they ask for, 1 GPU: at most 0 GPU"


def test_the_doctor_says_that_a_token_is_refused(httpserver, section):
    httpserver.expect_request("/api/version").respond_with_data("Forbidden: Invalid authentication token", 403)
    [check] = check_ray(section, ExecutorWants())
    assert not check.ok
    assert "refuses who asks (403)" in check.said
    assert "token" in check.remedy


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("working_dir", "/here", "zip file that the cluster can fetch"),
        ("workdir", "here", "a whole path on the cluster"),
    ],
)
def test_config_says_what_would_be_right(key, value, said):
    with pytest.raises(ValidationError, match=said):
        RaySection(url="http://head:8265", **{key: value})
