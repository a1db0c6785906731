"""Jobs that wait or run are shown with where that is, since when, and the way to the job at its cluster."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.cli.output.status import print_status
from bot.config.models import Config
from bot.domain.fires import JobPlace, JobStanding, Standing
from bot.reports.jobs_at_work import JobStage, jobs_at_work
from bot.reports.overview import overview
from bot.store import Database, fires
from tests.web.page_links import CHINESE

MINUTE = timedelta(minutes=1)
RAY = "Ray at http://ray.example:8265"
EXECUTORS = {
    "lab": {"kind": "ray", "url": "http://ray.example:8265"},
    "gpus": {"kind": "slurm", "partition": "gpu"},
}
JOBS = {"search-relevance": "lab", "next-purchase": "gpus", "similar-items": "local", "query-rewriting": "lab"}
SAID = "Slurm lets it wait: ReqNodeNotAvail <b>"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture(scope="module")
def busy(house, tmp_path_factory):
    """Return the house with four jobs: one at work on Ray, one queued on Slurm, one here, and one that is due."""
    file = tmp_path_factory.mktemp("busy") / "state.db"
    shutil.copyfile(house.file, file)
    config = house.config
    ours = Config.model_validate(
        {
            "executor": EXECUTORS,
            "pipeline": {
                name: {"experiment": name, "metrics": {"ndcg": {}}, "job": {"command": ["x"], "executor": executor}}
                for name, executor in JOBS.items()
            },
        }
    )
    pipelines = {
        name: section.model_copy(update={"job": ours.pipeline[name].job}) if name in JOBS else section
        for name, section in config.pipeline.items()
    }
    config = config.model_copy(update={"executor": ours.executor, "pipeline": pipelines})
    database = Database(f"sqlite:///{file}")
    now = house.now
    with database.begin() as tx:
        for number, name in enumerate(JOBS):
            fire = fires.record(tx, name, now - 10 * MINUTE + number * MINUTE)
            if name == "query-rewriting":
                continue
            host = {"lab": RAY, "gpus": ours.executor["gpus"].place, "local": "worker-3"}[JOBS[name]]
            place = JobPlace(host, host, "/srv/jobs" if name == "similar-items" else "", now + timedelta(days=1))
            begun = now - 8 * MINUTE
            fires.save(tx, replace(fire, started_at=begun, executor=JOBS[name], place=place))
            if name == "search-relevance":
                fires.note_standing(tx, fire.fire_id, JobStanding(Standing.RUNNING, now - 5 * MINUTE))
            if name == "next-purchase":
                fires.note_standing(tx, fire.fire_id, JobStanding(Standing.QUEUED, begun, SAID))
    database.close()
    return replace(house, file=file, config=config)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            {},
            [
                "Running Search relevance A job on lab is at work since",
                "Queued Next purchase A job on gpus waits there since",
                "Running Similar items A job on local is at work since",
                "Due Query rewriting A job for lab is due since",
            ],
        ),
        (CHINESE, ["运行中 Search relevance", "排队中 Next purchase", "待启动 Query rewriting", "等待或运行中的任务"]),
    ],
)
def test_the_front_page_lists_the_jobs_that_wait_or_run(busy, headers, said):
    with busy.pages() as client:
        page = client.get("/", headers=headers)
    shown = text_of(page.text)
    for each in said:
        assert each in shown, shown[-1500:]
    assert "ReqNodeNotAvail &lt;b&gt;" in page.text
    fire = re.search(r'href="http://ray\.example:8265/#/jobs/([0-9a-f]{16}-house)"', page.text)
    assert fire is not None
    assert RAY in shown
    assert "worker-3" in shown


def test_the_page_of_a_pipeline_shows_its_own_job_alone(busy):
    with busy.pages() as client:
        own, other = (text_of(client.get(f"/pipelines/{name}").text) for name in ("next-purchase", "cold-start"))
    assert "A job on gpus waits there since" in own
    assert "lab" not in own
    assert "Jobs that wait or run" not in other


def test_status_shows_the_same_jobs_with_their_addresses(busy, capsys):
    reader = busy.reader()
    seen = overview(reader)
    print_status(seen, as_json=True)
    told = {each["pipeline"]: each for each in json.loads(capsys.readouterr().out)["jobs"]}
    assert {name: each["standing"] for name, each in told.items()} == {
        "search-relevance": "running",
        "next-purchase": "queued",
        "similar-items": "running",
        "query-rewriting": "due",
    }
    fire = f"{told['search-relevance']['fire']}-house"
    assert told["search-relevance"]["url"] == f"http://ray.example:8265/#/jobs/{fire}"
    assert told["similar-items"]["place"] == "worker-3"
    print_status(seen, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"({RAY} http://ray.example:8265/#/jobs/{fire})" in said
    assert "job of query-rewriting on lab: waits for its turn since" in said
    reader.database.close()


def test_a_job_on_another_cluster_than_config_names_now_has_no_address(busy):
    other = Config.model_validate({"executor": {"lab": {"kind": "ray", "url": "http://other.example:8265"}}})
    reader = busy.reader()
    with reader.database.begin() as tx:
        config = busy.config.model_copy(update={"executor": {**busy.config.executor, **other.executor}})
        (job,) = jobs_at_work(tx, config, busy.now, "search-relevance")
    assert (job.stage, job.url, job.place) == (JobStage.RUNNING, "", RAY)
    reader.database.close()
