"""A fit of several processes comes to what one comes to, and ends with the first of them that is lost."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from tests.trainer import queries
from tests.trainer.fitting import fit, result_of
from tests.trainer.launched import kill_rank, start, wait_for
from trainer.cli.launchers import launched_place
from trainer.errors import DataError, JobError
from trainer.jobs.schema import RelevanceJob, RetrievalJob
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.hard_negatives import NOTHING, Known
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.learning.pair_loss import pair_loss, weighted_parts
from trainer.learning.shared_vectors import SharedVectors
from trainer.models.crew import Crew
from trainer.tasks.on_device import check_crew
from trainer.tasks.reading_alike import check_read_alike, digests_of

TOLD = {"model": {"name": "bert"}, "tracking": {"uri": "http://a", "experiment": "e"}, "output": "o"}
PAIRS = {
    "data": {
        "kind": "pairs",
        "path": "p.csv",
        "columns": {"query": "q", "product": "t", "label": "l"},
        "split": {"by": "query"},
    }
}
TORCHRUN = {"MASTER_ADDR": "localhost", "MASTER_PORT": "1", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(("size", "parts"), [(2, 1), (3, 2), (9, 1)])
def test_the_gradients_of_all_shares_add_up_to_that_of_the_whole_batch(size, parts):
    torch.manual_seed(0)
    features, targets, weights = torch.randn(12, 4), torch.rand(12), torch.rand(12) + 0.1
    layer = torch.nn.Linear(4, 1)
    rows = np.array([3, 0, 11, 7, 5, 2, 8])  # neither 2 nor 3 divides them, and 9 leave some processes none

    def loss_of(places):
        chosen = torch.from_numpy(places)
        return pair_loss(layer(features[chosen]), targets[chosen], weights[chosen])

    whole = loss_of(rows)
    whole.backward()
    wanted = [one.grad.clone() for one in layer.parameters()]
    layer.zero_grad()
    total = 0.0
    for rank in range(size):  # a gradient that is not set to nought adds up, as the processes' does
        for loss in weighted_parts(loss_of, weights, Crew(rank, size))(rows, parts):
            loss.backward()
            total += float(loss.detach())
    assert total == pytest.approx(float(whole.detach()), abs=1e-6)
    for one, expected in zip(layer.parameters(), wanted, strict=True):
        torch.testing.assert_close(one.grad, expected, atol=1e-6, rtol=0)


@dataclass(frozen=True, slots=True)
class Told(Crew):
    """One of several processes, the others' shares being known."""

    vectors: Mapping[int, torch.Tensor] = field(default_factory=dict)  # by how many there are
    asked: list[int] = field(default_factory=list)

    def sum_up(self, tensor: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(tensor))
        whole, own = self.vectors[len(tensor)], self.share(np.arange(len(tensor)))
        expected = torch.zeros_like(whole)
        expected[own] = whole[own]
        torch.testing.assert_close(tensor, expected)
        return whole.clone()


KNOWN = Known(np.array([0]), 9, {})
TRIPS = [Example(np.array([0, 1]), np.array([0.5, 0.5]), np.array([one]), np.array([one])) for one in (2, 3, 4, 5)]


@pytest.mark.parametrize("size", [2, 3, 7])  # seven have more processes than texts
@pytest.mark.parametrize("task", ["retrieval", "next_item"])
def test_a_loss_over_gathered_vectors_and_its_gradient_are_those_of_one_process(task, size):
    torch.manual_seed(0)
    texts, layer = torch.randn(9, 5), torch.nn.Linear(5, 4)
    query, text, negatives = np.array([0, 1, 2, 0]), np.array([3, 4, 5, 6]), np.array([[7], [NOTHING], [3], [4]])

    def encode(places, parts):
        return torch.nn.functional.normalize(layer(texts[places]), dim=1)

    def loss_in(crew):
        shared, rows = SharedVectors(crew, encode), np.arange(4)
        for _ in range(2):  # tried again, as for want of memory: nothing is sent a second time
            shared.begin(rows)
            if task == "retrieval":
                contrast = make_contrast(query, text, negatives, KNOWN)
                parts = [
                    shared.encode(str(kind), torch.from_numpy(kind), 1)
                    for kind in (contrast.queries_Q, contrast.texts_C)
                ]
                loss = contrast_loss(*parts, contrast, 0.1)
            else:
                batch = make_batch(TRIPS)
                loss = batch_loss(shared.encode("items", batch.texts_E, 1), batch, 0.1)
        return shared.one_of_all(loss)

    def gradient_of(loss):
        layer.zero_grad()
        loss.backward()
        return layer.weight.grad.clone()

    alone = loss_in(Crew())
    wanted = gradient_of(alone)
    with torch.no_grad():
        vectors = {3: encode(np.arange(3), 1), 5: encode(np.arange(3, 8), 1), 6: encode(np.arange(6), 1)}
    crews = [Told(rank, size, vectors=vectors) for rank in range(size)]
    losses = [loss_in(crew) for crew in crews]
    assert sum(float(loss.detach()) for loss in losses) == pytest.approx(float(alone.detach()), abs=1e-6)
    torch.testing.assert_close(sum(gradient_of(loss) for loss in losses), wanted, atol=1e-6, rtol=1e-5)
    assert all(len(crew.asked) == (2 if task == "retrieval" else 1) for crew in crews)


@pytest.mark.parametrize(
    ("task", "train", "size", "kind", "sentence"),
    [
        (RelevanceJob, {"batch": 8}, 3, "cpu", "train.batch = 8 does not divide among 3 processes: 6 or 9 is right"),
        (RelevanceJob, {"batch": 2}, 4, "cpu", "train.batch = 2 does not divide among 4 processes: 4 is right"),
        (RelevanceJob, {"batch": 8}, 2, "cuda", "torchrun started 2 processes on a machine with 1 GPUs"),
        (
            RelevanceJob,
            {"batch": 8, "accumulate": 5},
            2,
            "cpu",
            "each of 2 processes has 4 rows of a batch, and no more",
        ),
        (RetrievalJob, {"batch": 9}, 2, "cpu", "train.batch = 9 does not divide among 2 processes: 8 or 10 is right"),
    ],
)
def test_what_so_many_processes_cannot_fit_is_refused_in_a_sentence(task, train, size, kind, sentence):
    name = "relevance" if task is RelevanceJob else "retrieval"
    job = task.model_validate({**TOLD, **PAIRS, "task": name, "train": train})
    check_crew(job, Crew(), kind, chips=1)  # one process can
    with pytest.raises(JobError, match=sentence.replace(".", r"\.")):
        check_crew(job, Crew(0, size, 0, size), kind, chips=1)


def test_a_place_among_torchruns_processes_needs_all_that_torchrun_sets():
    place = launched_place({**TORCHRUN, "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"})
    assert place is not None
    assert (place.rank, place.size, place.local_rank, place.local_size) == (3, 4, 1, 2)
    assert launched_place({**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}) is None
    with pytest.raises(JobError, match="SLURM_STEP_NUM_TASKS is 2, as srun sets it"):
        launched_place({**TORCHRUN, "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "SLURM_STEP_NUM_TASKS": "2"})


@dataclass(frozen=True)
class SecondOfTwo(Crew):
    """Hears what the first has read, which finds nothing apart."""

    first: str = ""

    def hear(self) -> str:
        return self.first

    def sum_up(self, tensor):
        return tensor


@pytest.mark.parametrize(
    ("first", "said"), [("same", None), ("data", "read other data than the first"), ("model", "read another model")]
)
def test_a_process_that_reads_otherwise_than_the_first_ends_all(first, said):
    task = SimpleNamespace(card=SimpleNamespace(hash="d1"), facts=lambda: {"model.sha256": "m1"})
    other = {
        "same": task,
        "data": SimpleNamespace(card=SimpleNamespace(hash="d2"), facts=task.facts),
        "model": SimpleNamespace(card=task.card, facts=lambda: {"model.sha256": "m2"}),
    }
    crew = SecondOfTwo(1, 2, 1, 2, " ".join(digests_of(other[first])))
    if said is None:
        check_read_alike(task, crew)
    else:
        with pytest.raises(DataError, match=f"1 of 2 processes {said}"):
            check_read_alike(task, crew)


def hold_against_one(place: Path, job: Path, *more: str) -> list:
    """Fit with one process and with two, and give the runs."""
    assert fit(job, *more, f"output={place}/one") == 0
    assert start(2, job, place / "log", *more, f"output={place}/two").wait(240) == 0, (place / "log").read_text()
    one, two = (result_of(place / name)["metrics"] for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one.keys() - {"ms_per_pair", "ms_per_query"}:
        assert two[name] == pytest.approx(one[name], abs=1e-5), name
    assert (place / "log").read_text().count("trained: ") == 1
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    runs = [run for each in client.search_experiments() for run in client.search_runs([each.experiment_id])]
    assert [run.info.status for run in runs] == ["FINISHED"] * 2  # one each
    curves = [{one.step: one.value for one in client.get_metric_history(run.info.run_id, "train/loss")} for run in runs]
    assert len(curves[0]) > 1
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    return runs


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_two_processes_come_to_the_metrics_of_one_where_a_batch_is_its_own_negatives(place):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    job = queries.write_job(place, "retrieval", data, queries.make_bert(place / "bert"), "relevant = 3.0")
    hold_against_one(place, job, "train.batch=4", "train.epochs=3", "train.layers=1", "train.lr=1e-3")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_two_processes_come_to_the_metrics_of_one_where_trips_are_learnt(tracked):
    hold_against_one(tracked.folder, tracked.path, "train.epochs=2", "mix={trips = 40}", "score.links=0.5")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_two_processes_come_to_the_metrics_of_one_where_the_model_is_adapted_first(place):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    model = queries.write_gap(queries.make_bert(place / "bert"))
    job = queries.write_job(place, "retrieval", data, model, "relevant = 3.0")
    told = ("train.batch=4", "train.layers=1", "adapt={batch = 256, epochs = 2, whole_words = true}")
    one, two = hold_against_one(place, job, *told)
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    curves = [[one.value for one in client.get_metric_history(run.info.run_id, "adapt/loss")] for run in (one, two)]
    assert len(curves[0]) > 4
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
@pytest.mark.parametrize("rank", [0, 1])
def test_one_sentence_is_said_whichever_of_three_processes_is_lost(place, rank):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    job = queries.write_job(place, "relevance", data, queries.make_bert(place / "bert"))
    lost = start(3, job, place / "log", "train.batch=12", "train.epochs=2000", f"output={place}/lost")
    wait_for("training: ", place / "log")
    kill_rank(lost.pid, rank)
    assert lost.wait(60) != 0
    told = [line for line in (place / "log").read_text().splitlines() if line.startswith("trainer: ")]
    assert len(told) == 2, told  # on what it computes, and:
    assert re.fullmatch(r"trainer: process \d of 3 lost another one, so all end; the same command goes on .*", told[1])
    assert not (place / "lost").exists()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_two_processes_come_to_the_metrics_of_one_and_end_with_the_first_that_is_lost(place):
    data = queries.write_rows(place / "pairs.csv", queries.make_rows())
    job = queries.write_job(place, "relevance", data, queries.make_bert(place / "bert"))
    more = ("train.batch=8", "train.epochs=3", f"output={place}/two")
    assert fit(job, "train.batch=8", "train.epochs=3", f"output={place}/one") == 0
    assert start(2, job, place / "log", *more).wait(240) == 0, (place / "log").read_text()
    one, two = (result_of(place / name)["metrics"] for name in ("one", "two"))
    for name in one.keys() - {"ms_per_pair"}:
        assert two[name] == pytest.approx(one[name], abs=1e-5), name

    assert start(3, job, place / "log", "train.batch=8", f"output={place}/three").wait(240) != 0
    told = (place / "log").read_text()
    assert told.count("trainer: train.batch = 8 does not divide among 3 processes: 6 or 9 is right\n") == 1
    assert told.count("trainer: ") == 1

    lost = start(2, job, place / "log", "train.batch=8", "train.epochs=200", f"output={place}/lost")
    wait_for("training: ", place / "log")
    kill_rank(lost.pid, 1)
    assert lost.wait(60) != 0
    assert (place / "log").read_text().count("trainer: process 0 of 2 lost another one, so all end; ") == 1
    assert not [path.name for path in place.iterdir() if "lost" in path.name or path.name == "three"]

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    (experiment,) = (each for each in client.search_experiments() if each.name == "relevance")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "FAILED"]  # one each, of what began
    assert json.loads((place / "two" / "result.json").read_text())["run_id"] == runs[1].info.run_id
