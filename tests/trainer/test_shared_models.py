"""Processes that hold a part of the model each come to what one comes to that holds the whole."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file

from tests.trainer import queries
from tests.trainer.fitting import fit, result_of, weights_of
from tests.trainer.launched import kill_rank, start
from tests.trainer.shop import make_bench
from trainer.environment import FreeMemory
from trainer.errors import JobError, LostProcessError
from trainer.jobs.file import load_job
from trainer.learning.checkpoints import NoCheckpoints
from trainer.learning.gradients import Lesson, LossWatch, Scaling
from trainer.learning.pair_loss import weighted_parts
from trainer.models.crew import Crew
from trainer.models.device import BF16, FP16, FP32, PROCESSOR, Device
from trainer.models.source import count_parameters, find_source
from trainer.tasks import sharing
from trainer.tasks.loading import load_task
from trainer.tasks.memory_needs import fits_whole
from trainer.tasks.sharing import share_model

PARTS = Crew(0, 2, 0, 2, shards=True)
EARLY = "train.early_stop={looks = 2, patience = 2}"
CASES = {  # name -> task, model, overrides, precision
    "pairs": ("relevance", "bert", ("train.batch=12", "train.accumulate=4"), FP32),
    "pairs averaged": ("relevance", "bert", ("train.batch=24", "train.average=2"), FP32),
    "pairs ended early": ("relevance", "bert", ("train.batch=24", "train.epochs=4", EARLY), FP32),
    "adapters": ("relevance", "llama", ("train.batch=8", "model.lora={rank = 2, dropout = 0.0}"), FP32),
    "half": ("relevance", "bert", ("train.batch=12",), BF16),
    "texts": ("retrieval", "bert", ("train.batch=8", "train.layers=1", "relevant=3.0", "train.accumulate=2"), FP32),
    "texts kept": ("retrieval", "bert", ("train.batch=8", "train.layers=2", "relevant=3.0", EARLY), FP32),
    "texts again": ("retrieval", "bert", ("train.batch=8", "train.layers=2", "relevant=3.0", EARLY), FP32),
    "decoder": ("retrieval", "llama", ("train.batch=6", "train.layers=1", "relevant=3.0"), FP32),
    "trips": ("next_item", "", ("train.batch=8",), FP32),
}


def fit_alone(path: Path, overrides: tuple[str, ...], precision: str) -> tuple[dict[str, torch.Tensor], list[float]]:
    task = load_task(load_job(path, overrides), training=True, device=replace(PROCESSOR, precision=precision))
    told = []
    task.fit(told.append, NoCheckpoints())
    return weights_of(task), [one.loss for one in told]


@pytest.mark.long
def test_parts_of_two_processes_come_to_the_weights_of_one_and_each_holds_half(tmp_path, snapshot_folder, model_folder):
    data = queries.write_rows(tmp_path / "pairs.csv", queries.make_rows())
    paths = {"next_item ": make_bench(tmp_path, snapshot_folder, model_folder).path}
    for name, make in (("bert", queries.make_bert), ("llama", queries.make_llama)):
        for task in ("relevance", "retrieval"):
            (folder := tmp_path / task / name).mkdir(parents=True)
            paths[f"{task} {name}"] = queries.write_job(folder, task, data, make(folder / "model"))
    cases = []
    for name, (task, model, more, precision) in CASES.items():
        kept = (f"model.cache={tmp_path}/cache",) if name in ("texts kept", "texts again") else ()
        cases.append((name, str(paths[f"{task} {model}"]), (*more, *kept), precision))
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    worker = ["-m", "tests.trainer.parts_of_two", str(tmp_path)]
    done = subprocess.run([*launcher, *worker], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[:6000]
    for name, path, more, precision in cases:
        whole, wanted = fit_alone(Path(path), tuple(one for one in more if "cache" not in one), precision)
        losses = json.loads((tmp_path / f"{name}.json").read_text())
        near = 2e-2 if precision == BF16 else 1e-5
        assert losses == pytest.approx(wanted, rel=near), name
        weights = load_file(tmp_path / f"{name}.safetensors")
        assert weights.keys() == whole.keys()
        for one, tensor in weights.items():
            torch.testing.assert_close(tensor, whole[one], atol=near, rtol=0, msg=f"{name}: {one}")
        held = [json.loads((tmp_path / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]
        assert sum(held) == pytest.approx(1.0)
        assert all(0.45 < share < 0.55 for share in held), name


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_what_two_with_a_part_each_began_one_ends_and_the_other_way_round(place):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    job = queries.write_job(place, "relevance", data, queries.make_bert(place / "bert"))
    more = ("train.batch=8", "train.epochs=4", "checkpoint.every=0.02")
    assert fit(job, *more, f"output={place}/whole") == 0
    two = (*more, "device.shard=true", f"output={place}/two")
    shelves = place / ".checkpoints"

    lost = start(2, job, place / "log", *two)
    while not list(shelves.glob("*/step-*")):
        assert lost.poll() is None, (place / "log").read_text()
        time.sleep(0.1)
    kill_rank(lost.pid, 1)
    assert lost.wait(60) != 0
    told = (place / "log").read_text()
    assert "computes on the processor in fp32, in 2 processes that hold a part of the model each\n" in told
    assert told.count("trainer: process 0 of 2 lost another one, so all end; ") == 1
    assert not (place / "two").exists()

    begun = copytree(shelves, place / "begun")
    assert fit(job, *more, f"output={place}/one") == 0
    rmtree(shelves, ignore_errors=True)
    copytree(begun, shelves)  # and again by two, from what is of whole tensors whoever wrote it
    assert start(2, job, place / "log", *two).wait(240) == 0, (place / "log").read_text()
    assert "trainer: goes on after step " in (place / "log").read_text()

    whole, *others = (result_of(place / name) for name in ("whole", "one", "two"))
    for other in others:
        for name in whole["metrics"].keys() - {"ms_per_pair"}:
            assert other["metrics"][name] == pytest.approx(whole["metrics"][name], abs=1e-5), name
    run = MlflowClient(f"sqlite:///{place}/mlflow.db").get_run(others[1]["run_id"])
    assert run.data.params["device.sharded"] == "true"
    assert run.data.params["device.processes"] == "2"


def job_of(place: Path, *more: str, task: str = "relevance", make=queries.make_bert):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    return load_job(queries.write_job(place, task, data, make(place / "model")), ("train.batch=8", *more))


@pytest.mark.parametrize(
    ("task", "more", "make", "numbers_of"),
    [
        ("relevance", (), queries.make_bert, lambda weights: 4 * weights),
        ("relevance", ("train.layers=1",), queries.make_bert, lambda weights: weights + 3 * (weights // 2)),
        ("relevance", ("model.lora={rank = 2}",), queries.make_llama, lambda weights: weights),
        ("retrieval", ("train.layers=2", "relevant=3.0"), queries.make_llama, lambda weights: 4 * weights),
    ],
)
def test_a_model_is_cut_where_weights_gradients_and_moments_do_not_fit(tmp_path, task, more, make, numbers_of):
    job = job_of(tmp_path, *more, task=task, make=make)
    source = find_source(job.model)
    size = 4 * numbers_of(count_parameters(source))
    assert fits_whole(source, job, size)
    assert not fits_whole(source, job, size - 1)


@dataclass(frozen=True)
class Speaker(Crew):
    """The first of two, whose word nobody waits for."""

    said: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.said.append(text)


@dataclass(frozen=True)
class Listener(Crew):
    """The second, who hears what the first found out."""

    heard: str = ""

    def hear(self) -> str:
        return self.heard


def test_all_do_as_the_first_finds_by_its_own_memory(tmp_path, monkeypatch):
    job = job_of(tmp_path)
    for room, cut in ((1 << 40, False), (1000, True)):
        monkeypatch.setattr(sharing, "free_memory", lambda room=room: FreeMemory(room, "of the machine"))
        first = Speaker(0, 2, 0, 2)
        device = share_model(job, replace(PROCESSOR, crew=first))
        assert device.crew.shards is cut
        heard = share_model(job, replace(PROCESSOR, crew=Listener(1, 2, 1, 2, heard=first.said[0])))
        assert heard.crew.shards is cut
        assert heard.facts().get("device.sharded") == ("true" if cut else None)
    for wanted in (True, False):  # nobody asks
        asked = job_of(tmp_path, f"device.shard={str(wanted).lower()}")
        assert share_model(asked, replace(PROCESSOR, crew=Crew(1, 2, 1, 2))).crew.shards is wanted


@pytest.mark.parametrize(
    ("settings", "device", "said"),
    [
        ((), Device(), "device.shard = true: one process has none to share the model with: torchrun starts several"),
        (
            (),
            Device(precision=FP16, crew=PARTS),
            'device.precision = "fp16": a model of which each process holds a part',
        ),
        (("device.compile=true",), Device(crew=PARTS), "device.compile = true: layers of which each process holds a"),
    ],
)
def test_what_a_model_that_is_cut_cannot_do_is_refused_in_a_sentence(tmp_path, settings, device, said):
    with pytest.raises(JobError, match=said):
        share_model(job_of(tmp_path, "device.shard=true", *settings), device)


@pytest.mark.parametrize("rank", [0, 1])
def test_all_run_a_model_that_is_cut_equally_often_and_what_is_run_for_others_teaches_nothing(rank):
    weight, rows = torch.ones(1, requires_grad=True), np.arange(5)  # shares of 3 and 2
    in_parts = weighted_parts(lambda some: (weight * len(some)).sum(), torch.ones(5), replace(PARTS, rank=rank))
    losses = list(in_parts(rows, 3))
    assert len(losses) == 3
    assert float(sum(losses).detach()) == pytest.approx((3, 2)[rank] / 5)


def test_one_that_has_no_memory_for_its_part_of_a_step_says_so_for_all():
    def too_large(_):
        raise MemoryError("not enough memory")

    lesson = Lesson(too_large, None, Scaling(PROCESSOR), replace(PARTS, rank=1))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with pytest.raises(LostProcessError, match=r"step 3 does not fit into the memory of process 1 of 2 .* set train"):
        lesson.send_back(np.arange(4), 1, optimizer, LossWatch(9), 3)
