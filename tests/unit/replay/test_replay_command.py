"""`herald replay` on a real MLflow: what it says, that it changes nothing, and what it says of bad input."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from lxml import html
from typer.testing import CliRunner

from bot.cli.main import app
from bot.cli.replay_input import read_since, read_sweep
from bot.errors import ConfigError, HistoryError, RunStoreError
from bot.replay import history as history_reading
from bot.replay import replaying
from bot.replay.history import HistoryReader
from bot.replay.rehearsal import Effort
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.run_store import MlflowRunStore
from tests.unit.simulation import configured

COUNT, FALL, RECOVERY = 150, 90, 110
NOW = datetime.now(UTC)
CONFIG = """\
# our own words
[mlflow]
tracking_uri = "sqlite:///mlflow.db"

[pipeline.search]
title = "Search"
experiment = "search"

[pipeline.search.metrics.ndcg]
min_effect = "2 %"   # agreed in June
name = { en = "Ranking quality", zh = "排序质量" }
[pipeline.search.metrics.recall]
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory, mlflow_file) -> Path:
    """A folder with an MLflow of 150 runs, one fall among them, and a configuration."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("replay")
    shutil.copyfile(mlflow_file, folder / "mlflow.db")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("search", artifact_location=str(folder / "artifacts"))
    random = np.random.default_rng(11)
    for i in range(COUNT):
        ended = NOW - timedelta(hours=8) * (COUNT - i)
        start = int((ended - timedelta(minutes=5)).timestamp() * 1000)
        run = client.create_run(experiment, start_time=start, run_name=f"<b>nightly</b> {i}").info.run_id
        fallen = 0.03 if FALL <= i < RECOVERY else 0.0
        client.log_metric(run, "ndcg", 0.4 + random.normal(0, 0.004) - fallen)
        client.log_metric(run, "recall", 0.6 + random.normal(0, 0.004))
        client.set_terminated(run, end_time=int(ended.timestamp() * 1000))
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def few_drops(monkeypatch):
    """Plant fewer drops than people are shown, so that tests end soon."""
    monkeypatch.setattr(replaying, "EFFORT", Effort(planted=1, healthy=1, slices=1))


@pytest.fixture
def folder(there, tmp_path, monkeypatch) -> Path:
    shutil.copytree(there, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "here"


def replay(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["replay", *words])
    if code == 0 and result.exception:
        raise result.exception
    return result.stdout


def test_one_fall_is_one_ticket_and_nothing_is_changed(folder):
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    said = json.loads(replay("--since", "45d", "--json"))
    (ticket,) = said["tickets"]
    assert ticket["metrics"] == ["ndcg"]
    assert ticket["sentence"].startswith("Ranking quality fell by 8.7\xa0%")
    assert ticket["days"] == pytest.approx((RECOVERY - FALL) / 3, abs=1)
    (pipeline,) = said["pipelines"]
    assert pipeline["tickets"] == 1
    assert sum(each["tickets"] for each in pipeline["tickets_by_week"]) == 1
    assert pipeline["runs"] == 134
    assert 0 < pipeline["quiet_days"] < pipeline["days"] == 46
    steps = [each for each in said["planted"] if each["metric"] is None and each["shape"] == "step"]
    assert [each["spreads"] for each in steps] == [0.5, 1.0, 1.5, 2.0, 3.0, 5.0]
    assert steps[-1]["ticket"]["share"] == 1.0
    assert pipeline["smallest_told_in_spreads"]["ndcg"] == pytest.approx(2, rel=0.3)  # 2 % of .4; runs differ by .004
    missed = [each for each in said["missed"] if each["metric"] is None and each["shape"] == "step"]
    assert missed[-1]["share"] == 0.0
    assert [each["metric"] for each in said["false_alarms"]] == [None, "ndcg", "recall"]
    assert said["false_alarms"][0]["low"] <= said["false_alarms"][0]["a_month"] <= said["false_alarms"][0]["high"]
    after = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_the_page_needs_nothing_from_outside_and_shows_names_as_they_are(folder):
    said = replay("--since", "45d", "--html", "page.html")
    assert "Herald would have filed one ticket." in said
    assert "Falls below the smallest effect of the configuration are never told: here" in said
    text = (folder / "page.html").read_text(encoding="utf-8")
    page = html.fromstring(text)
    assert len(text.encode()) < 1_000_000
    assert not page.xpath("//script | //link | //img | //iframe | //@src | //@href")
    assert not page.xpath("//b[text()='nightly']")
    assert any("<b>nightly</b> 90" in title.text for title in page.iter("{*}title", "title") if title.text)
    assert len(page.xpath("//*[local-name()='svg']")) >= 4


def test_a_metric_that_a_run_lacks_is_a_ticket_with_what_came_before_it_as_its_chart(folder):
    from mlflow.tracking import MlflowClient

    address = f"sqlite:///{folder}/mlflow.db"
    (folder / "config.toml").write_text(CONFIG.replace("sqlite:///mlflow.db", address), encoding="utf-8")
    client = MlflowClient(address)
    run = client.create_run(client.get_experiment_by_name("search").experiment_id).info.run_id
    client.log_metric(run, "recall", 0.6)
    client.set_terminated(run)
    assert "Herald would have filed one ticket." in replay("--since", "5d", "--html", "page.html")
    text = (folder / "page.html").read_text(encoding="utf-8")
    (ticket,) = html.fromstring(text).find_class("ticket")
    assert "Ranking quality is missing from this run" in ticket.text_content()
    assert any("nightly</b> 149" in (title.text or "") for title in ticket.iter("{*}title", "title"))
    assert "nan" not in text.lower()


def test_the_page_is_chinese_where_that_is_asked_for(folder):
    said = replay("--since", "45d", "--html", "page.html", "--locale", "zh")
    assert "Herald 会建一张工单。" in said
    assert "排序质量" in said
    assert "小于配置的最小幅度" in said
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert 'lang="zh"' in text
    assert "会漏掉什么" in text


def test_a_sweep_chooses_a_setting_and_writes_it_beside_what_people_wrote(folder):
    said = json.loads(replay("--since", "45d", "--json", "--sweep", "min_effect=1%,3%"))
    assert [each["setting"] for each in said["sweep"]] == ["1 %", "3 %"]
    (chosen,) = [each for each in said["sweep"] if each["chosen"]]
    assert chosen["setting"] == "1 %"
    assert chosen["caught"] == max(each["caught"] for each in said["sweep"])
    shown = replay("--since", "45d", "--sweep", f"min_effect={chosen['setting'].replace(' ', '')}", "--write")
    assert f"pipeline.search.metrics.ndcg.min_effect = {chosen['setting']} (it was 2 %)" in " ".join(shown.split())
    written = (folder / "config.toml").read_text(encoding="utf-8")
    assert written.startswith("# our own words\n")
    assert f'min_effect = "{chosen["setting"]}"   # agreed in June' in written
    assert written.count("min_effect") == 2


def test_presets_are_tried_with_every_effect():
    names = [
        (v.preset, v.min_effect.value) for v in read_sweep(["preset=quiet,sensitive", "min_effect=1%, 2%"], write=True)
    ]
    assert sorted(names) == [("quiet", 0.01), ("quiet", 0.02), ("sensitive", 0.01), ("sensitive", 0.02)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["min_effect"], "should name a setting and its values"),
        (["min_effect=little"], "'little' should be a share such as 2%"),
        (["min_effect=-1"], "'-1' should be a share"),
        (["preset=loud"], "'loud' should be quiet or sensitive"),
        (["colour=red"], "'colour' cannot be tried; min_effect and preset can"),
        (["min_effect=" + ",".join(f"{i}%" for i in range(30))], "24 at most"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_told(given, words):
    with pytest.raises(ConfigError, match=words):
        read_sweep(given, write=False)


def test_writing_needs_something_to_choose_from():
    with pytest.raises(ConfigError, match="nothing to choose from without a --sweep"):
        read_sweep([], write=True)


def test_since_is_a_length_of_time_or_a_day():
    assert read_since("90d", NOW) == NOW - timedelta(days=90)
    assert read_since("2026-09-01", NOW) == datetime(2026, 9, 1, tzinfo=UTC)
    for text, words in {
        "yesterday": "should be a length of time such as 90d",
        "9999-01-01": "is not in the past",
        "999999999999w": "should be a length|longer ago",
        "999999w": "longer ago",
        "99999w": "before 1970",
        "1969-12-31": "before 1970",
    }.items():
        with pytest.raises(ConfigError, match=words):
            read_since(text, NOW)


@pytest.mark.usefixtures("folder")
def test_a_span_without_runs_and_metrics_that_no_run_has_are_told():
    result = CliRunner().invoke(app, ["replay", "--since", "2h"])
    assert "MLflow has no finished run of search since" in str(result.exception)
    Path("config.toml").write_text(
        CONFIG.replace("metrics.ndcg", "metrics.mrr").replace("metrics.recall", "metrics.f1")
    )
    result = CliRunner().invoke(app, ["replay", "--since", "45d"])
    assert "none of its 134 runs has mrr, f1; they have ndcg, recall" in str(result.exception)
    result = CliRunner().invoke(app, ["replay", "nobody"])
    assert "pipeline 'nobody' is not configured; configured are: search" in str(result.exception)


@pytest.mark.usefixtures("folder")
def test_a_pipeline_without_history_is_set_aside_and_the_others_are_replayed():
    empty = '[pipeline.new]\nexperiment = "nowhere"\n[pipeline.new.metrics.ndcg]\n'
    Path("config.toml").write_text(CONFIG + empty)
    said = json.loads(replay("--since", "10d", "--json", "--html", "page.html"))
    assert [each["pipeline"] for each in said["pipelines"]] == ["search"]
    (why,) = said["set_aside"]
    assert "pipeline.new: MLflow has no finished run of nowhere" in why
    assert "no finished run of nowhere" in Path("page.html").read_text(encoding="utf-8")


def test_a_metric_that_is_never_a_number_gives_no_false_ticket(folder):
    text = CONFIG + "[pipeline.search.metrics.loss]\n"
    (folder / "config.toml").write_text(text.replace("sqlite:///mlflow.db", f"sqlite:///{folder}/mlflow.db"))
    said = json.loads(replay("--since", "10d", "--json"))
    assert said["pipelines"][0]["unjudged_metrics"] == ["loss"]
    assert said["false_alarms"][0]["tickets"] == 0


def test_somebody_who_stops_it_is_told_that_it_reads_on_from_there(folder, monkeypatch):
    def stopped(self, *asked):
        yield from list(MlflowRunStore.runs_since(self, *asked))[:70]
        raise KeyboardInterrupt

    class Stopping(MlflowRunStore):
        runs_since = stopped

    section = MlflowSection(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    monkeypatch.setattr("bot.connections.make_run_store", lambda _: Stopping(section))
    result = CliRunner().invoke(app, ["replay", "--since", "45d"])
    assert result.exit_code == 1
    assert "stopped, and nothing was changed" in str(result.exception)
    (kept,) = (folder.parent / "cache" / "herald").glob("replay-*.jsonl")
    assert len(kept.read_text().splitlines()) == 70
    monkeypatch.undo()


def test_a_history_that_is_too_short_says_so(folder):
    said = replay("--since", "2d")
    assert "Herald would have filed no ticket." in said
    assert "What would have been missed cannot be said: the history is too short" in said


def test_where_no_drop_could_be_planted_no_setting_is_chosen_nor_written(folder):
    before = (folder / "config.toml").read_text(encoding="utf-8")
    said = replay("--since", "2d", "--sweep", "min_effect=1%,3%", "--write", "--html", "page.html")
    assert "No drops could be planted in this history, so that no setting can be chosen" in " ".join(said.split())
    assert "chosen" not in said.replace("can be chosen", "")
    assert (folder / "config.toml").read_text(encoding="utf-8") == before


class Interrupted:
    """An MLflow that goes away after some runs, and counts what it handed out."""

    def __init__(self, store: MlflowRunStore, after: int | None) -> None:
        self.store, self.after, self.handed = store, after, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def runs_since(self, *asked: object):
        for run in self.store.runs_since(*asked):
            if self.after is not None and self.handed >= self.after:
                raise RunStoreError("mlflow.tracking_uri: nothing answers there")
            self.handed += 1
            yield run


def test_what_was_read_before_mlflow_went_away_is_not_read_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(history_reading, "_AT_ONCE", 20)
    section = configured({"search": {"metrics": {"ndcg": {}}}}).pipeline["search"]
    store = MlflowRunStore(MlflowSection(tracking_uri=f"sqlite:///{folder}/mlflow.db"))

    def read(after: int | None) -> tuple[int, list]:
        mlflow = Interrupted(store, after)
        reader = HistoryReader("search", section, mlflow, "here", tmp_path / "kept")
        try:
            found = reader.read(NOW - timedelta(days=45), NOW)
            reader.forget()
            return mlflow.handed, found
        finally:
            handed.append(mlflow.handed)

    handed: list[int] = []
    with pytest.raises(HistoryError, match="went away after 70 runs of its history; they are kept"):
        read(70)
    assert (next((tmp_path / "kept").iterdir()).stat().st_mode & 0o077) == 0
    with pytest.raises(HistoryError, match="went away after 109 runs"):
        read(40)
    _, found = read(None)
    assert [run.name for run in found] == [f"<b>nightly</b> {i}" for i in range(COUNT)]
    assert handed == [70, 40, 42]
    assert not list((tmp_path / "kept").iterdir())
