"""What is learnt on one set is scored on another: a folder, nested runs, and a killed matrix that is gone on with."""

import fcntl
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.trainer.fitting import result_of
from tests.trainer.queries import make_bert, make_rows, write_gap, write_job, write_rows
from trainer.__main__ import main
from trainer.errors import Stopped
from trainer.jobs.file import load_job, load_sets
from trainer.jobs.transfer import TransferJob
from trainer.results.per_example_files import read_per_example
from trainer.results.run_comparison import compare
from trainer.tasks.metric_names import SEARCHES, TRIPS
from trainer.tasks.next_item import load
from trainer.transfer import measuring
from trainer.transfer.kept_cells import tidy
from trainer.transfer.sets import open_sets

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
HOSTILE = "<b>&hall"


ROOT = Path(__file__).parents[2]


def test_the_job_file_that_the_page_shows_loads_with_the_defaults_it_tells(tmp_path):
    whole, tables = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/transfer.md").read_text(), re.DOTALL)
    (tmp_path / "job.toml").write_text(whole)
    assert load_job(tmp_path / "job.toml").transfer == TransferJob(by="department")
    (tmp_path / "tables.toml").write_text(whole[: whole.index("[transfer]")] + tables)
    assert list(load_sets(tmp_path / "tables.toml")) == ["autumn", "france"]


@pytest.mark.long
def test_the_example_runs(tmp_path, place):
    subprocess.run([sys.executable, ROOT / "examples/transfer/make_pairs.py"], check=True, cwd=tmp_path)
    output = tmp_path / "departments"
    told = (f"output={output}", f"tracking.uri=sqlite:///{place}/mlflow.db", "train.pairs=64", "train.layers=1")
    few = ("transfer.shots=[0,16]", "transfer.seeds=[0]", "transfer.targets=['PRODUCE']", "transfer.least_steps=1")
    assert main(["transfer", str(ROOT / "examples/transfer/departments.toml"), *settings(*told, *few)]) == 0
    assert len(json.loads((output / "transfer.json").read_text())["worth"]) == 2


@pytest.fixture
def shop(place):
    rows = [row for seed in range(2) for row in make_rows(seed, by_colour=True)]
    data = write_rows(place / "pairs.csv", rows, label="binary")
    data.write_text(data.read_text().replace(",hall\n", f",{HOSTILE}\n"))
    job = write_job(place, "relevance", data, make_bert(place / "bert"))
    told = '\n[transfer]\nby = "room"\nshots = [0, 40]\nseeds = [1]\nleast_steps = 4\nleak_check = "warn"\n'
    job.write_text(f"{job.read_text()}{told}\n[train]\nbatch = 32\nlr = 3e-3\n")
    return job


def settings(*told):
    return [word for one in told for word in ("--set", one)]


def runs_of(place, experiment="relevance"):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parent, [run for run in found if run is not parent]


class Page(HTMLParser):
    """Counts what a page shows, and what it would fetch or run."""

    def __init__(self, text) -> None:
        super().__init__()
        self.tags, self.outside = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href", "onclick")]


def test_a_matrix_is_a_folder_of_pages_numbers_and_tables_and_a_run_of_nested_runs(shop, capsys):
    assert main(["transfer", str(shop), "--json"]) == 0
    place, printed = shop.parent, json.loads(capsys.readouterr().out)
    output = place / "relevance"
    content, result = json.loads((output / "transfer.json").read_text()), result_of(output)
    assert printed["worth"] == content["worth"]
    assert [one["verdict"] for one in content["worth"]]
    assert len(content["cells"]) == 12
    assert (result["status"], result["command"]) == ("finished", "transfer")
    assert set(result["metrics"]) >= {"kitchen._b__hall.0", "plain.kitchen.all", "_b__hall.kitchen.40"}
    for name, value in result["metrics"].items():
        low, high = result["intervals"][name]
        assert low - 1e-9 <= value <= high + 1e-9 or name.endswith(".0")
    parent, nested = runs_of(place)
    assert (parent.info.run_id, parent.info.status) == (result["run_id"], "FINISHED")
    assert parent.data.metrics["kitchen._b__hall.0"] == result["metrics"]["kitchen._b__hall.0"]
    assert parent.data.tags["herald.command"] == "transfer"
    assert parent.data.params["transfer.sources"] == str([HOSTILE, "kitchen"])
    for name in ("gain/kitchen._b__hall.0", "worth/kitchen._b__hall"):
        ends = [parent.data.metrics[f"{end}/{name}"] for end in ("low", "high")]
        assert ends == result["intervals"][name]
    folders = [run.data.params["model.folder"] for run in nested if "model.folder" in run.data.params]
    assert {Path(folder) for folder in folders} == {place / "bert"}
    told = json.loads((output / content["cells"][1]["folder"] / "cell.json").read_text())
    assert told["leaks"] == next(
        e["leaks"] for e in content["entries"] if e["source"] == told["cell"]["source"] and e["leaks"]
    )
    cells = [run for run in nested if "shots" in run.data.params]
    assert len(cells) == len(content["cells"])
    assert {run.info.status for run in nested} == {"FINISHED"}
    shown = {
        (r.data.params["source"], r.data.params["target"], r.data.params["shots"], r.data.params["seed"]) for r in cells
    }
    assert ("kitchen", HOSTILE, "40", "1") in shown
    for name in ("report.html", "report.zh.html"):
        page = (output / name).read_text()
        assert not Page(page).outside
        assert Page(page).tags.count("svg") >= 2
        assert "<b>" not in page
        assert "&lt;b&gt;&amp;hall" in page
        assert "script" not in Page(page).tags
    for drawing in (output / "report.html").read_text().split("<svg viewBox")[1:]:
        ET.fromstring(f"<svg viewBox{drawing.partition('</svg>')[0]}</svg>")
    assert not list(place.glob(".*.transfer"))
    few = [one for one in content["cells"] if one["cell"]["target"] == "kitchen" and one["cell"]["shots"] == "40"]
    found = compare(*(read_per_example(output / one["folder"]) for one in few))
    assert found.only_first == found.only_second == 0


@pytest.mark.long
def test_a_matrix_that_was_stopped_goes_on_with_the_cells_that_it_has(shop, monkeypatch, capsys):
    fitted = []

    def fit(opened, on_step):
        fitted.append(opened)
        if len(fitted) == 4:
            raise Stopped(15)
        return fit_cell(opened, on_step)

    fit_cell = measuring.fit_cell
    monkeypatch.setattr(measuring, "fit_cell", fit)
    assert main(["transfer", str(shop)]) == 143
    place = shop.parent
    assert not (place / "relevance").exists()
    parent, nested = runs_of(place)
    assert parent.info.status == "KILLED"
    before = {run.info.run_id for run in nested if run.info.status == "FINISHED"}
    monkeypatch.setenv("HERALD_FIRE_ID", "second")
    assert main(["transfer", str(shop), "--language", "zh"]) == 0
    assert f"goes on with run {parent.info.run_id}" in capsys.readouterr().err
    again, nested = runs_of(place)
    assert again.data.tags["herald.fire_id"] == "second"
    assert {run.info.status for run in nested} == {"FINISHED", "KILLED"}
    assert (again.info.run_id, again.info.status) == (parent.info.run_id, "FINISHED")
    content = json.loads((place / "relevance" / "transfer.json").read_text())
    assert not list(place.glob(".*.transfer"))
    assert before & {cell["run_id"] for cell in content["cells"]}
    assert len([run for run in nested if "shots" in run.data.params and run.info.status == "FINISHED"]) == 12
    assert len(fitted) == 4 + (2 + 4) - 3  # two sources, and two starts on two targets; three were done


def test_what_is_left_of_matrices_of_other_settings_goes_when_the_output_is_there_but_what_is_measured_now(tmp_path):
    held, left = (tmp_path / f".out-{digit * 12}.transfer" for digit in "ab")
    others = [tmp_path / name for name in (".out-2-cccccccccccc.transfer", ".out-notes.transfer", "out")]
    for folder in (held, left, *others):
        (folder / "cells").mkdir(parents=True)
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    tidy(tmp_path / "out")
    os.close(descriptor)
    assert {*tmp_path.iterdir()} == {held, *others}
    tidy(tmp_path / "out")
    assert {*tmp_path.iterdir()} == {*others}


def cells_of(output):
    return json.loads((output / "transfer.json").read_text())["cells"]


def test_a_start_that_has_read_the_targets_texts_stands_beside_the_plain_one_and_no_other_reads_them(shop, capsys):
    write_gap(shop.parent / "bert")
    told = ("adapt={batch = 64}", "transfer.sources=['kitchen']", f"transfer.targets=['{HOSTILE}']")
    assert main(["transfer", str(shop), *settings(*told)]) == 0
    assert "trainer: adapted" in capsys.readouterr().err
    place, output = shop.parent, shop.parent / "relevance"
    _, nested = runs_of(place)
    read = {run.data.params["source"] for run in nested if "adapt/loss" in run.data.metrics}
    assert read == {"adapted"}
    assert {run.data.params["source"] for run in nested if "adapt.epochs" in run.data.params} == {"adapted"}
    found = json.loads((output / "transfer.json").read_text())["entries"]
    gains = {(one["source"], one["shots"]): one["gain_interval"] is not None for one in found}
    assert gains["adapted", 40]
    assert gains["adapted", "all"]
    assert "texts read first" in (output / "report.html").read_text()


def test_of_searches_a_matrix_ranks_the_targets_catalogue(place):
    job = write_job(
        place, "retrieval", write_rows(place / "pairs.csv", make_rows()), make_bert(place / "bert"), "relevant = 3.0"
    )
    told = '\n[transfer]\nby = "room"\nsources = ["hall"]\ntargets = ["kitchen"]\nshots = [0, 40]\nseeds = [1]\n'
    job.write_text(f"{job.read_text()}{told}least_steps = 2\n[train]\nbatch = 4\nlayers = 1\n")
    assert main(["transfer", str(job)]) == 0
    cells = cells_of(place / "retrieval")
    assert [(one["cell"]["source"], one["cell"]["shots"]) for one in cells] == [
        ("hall", "0"), ("plain", "0"), ("plain", "40"), ("hall", "40"), ("plain", "all"),
    ]  # fmt: skip
    assert all(0 <= one["metrics"][name] <= 1 for one in cells for name in SEARCHES)


def by_popularity(tracked) -> float:
    """Measure a list by popularity as `evaluate` does, of one department alone."""
    one = open_sets(load_job(tracked.path, ["transfer.by=department"]), {}).by_name["DRUG GM"]
    job = one.job.model_copy(update={"transfer": None})
    return (
        load(job, training=False, read=lambda _: one.snapshot).take_saved().score().compared["popularity"]["ndcg_at_10"]
    )


def test_of_what_users_buy_next_a_matrix_counts_users(tracked):
    told = ("transfer.by=department", "transfer.sources=['GROCERY']", "transfer.targets=['DRUG GM']")
    few = ("transfer.shots=[0,5]", "transfer.seeds=[1]", "transfer.least_steps=1")
    assert main(["transfer", str(tracked.path), *settings(*told, *few)]) == 0
    assert json.loads((tracked.folder / "output" / "transfer.json").read_text())["unit"] == "users"
    output = tracked.folder / "output"
    cells = cells_of(output)
    (popular,) = [one for one in cells if one["cell"]["source"] == "popularity"]
    (whole,) = [one for one in cells if (one["cell"]["source"], one["cell"]["shots"]) == ("plain", "all")]
    assert (popular["cell"]["shots"], popular["learnt"]) == ("all", whole["learnt"])
    assert popular["metrics"]["ndcg_at_10"] == by_popularity(tracked)
    told = json.loads((output / "transfer.json").read_text())
    (gain,) = [one for one in told["entries"] if one["source"] == "popularity"]
    assert gain["gain"] == pytest.approx(popular["value"] - whole["value"])
    assert result_of(output)["metrics"]["popularity.DRUG GM.all"] == popular["value"]
    for name, row in (("report.html", "popularity, all rows"), ("report.zh.html", "热门度，全部")):
        assert row in (output / name).read_text()
    assert [(one["cell"]["source"], one["cell"]["shots"], one["learnt"]) for one in cells][:3] == [
        ("GROCERY", "0", 0), ("plain", "0", 0), ("plain", "5", 5),
    ]  # fmt: skip
    assert all(0 <= one["metrics"][name] <= 1 for one in cells for name in TRIPS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("transfer.shots=[0,9999]",), "transfer.shots: 9999 is more than the"),
        (("transfer.sources=['attic']",), "never 'attic'"),
        (("model.folder=nowhere",), "nowhere: there is no such model folder"),
        (("train.layers=9",), "train.layers: 9 is more than the model's 2"),
        (("transfer.shots=[0,-1]",), "transfer.shots"),
        (("adapt={}",), "[MASK]"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(shop, capsys, more, said):
    before = sorted(shop.parent.rglob("*"))
    assert main(["transfer", str(shop), *settings(*more)]) == 2
    assert said in capsys.readouterr().err
    assert sorted(shop.parent.rglob("*")) == before


def test_a_job_without_the_section_is_refused(shop, capsys):
    text = shop.read_text()
    shop.write_text(text[: text.index("[transfer]")])
    assert main(["transfer", str(shop)]) == 2
    assert "[transfer] is missing" in capsys.readouterr().err


def test_one_process_measures_a_matrix(shop, monkeypatch, capsys):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main(["transfer", str(shop)]) == 2
    assert "transfer runs as one" in capsys.readouterr().err
