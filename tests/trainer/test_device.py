"""On what a job computes: the choice, every tensor in its place, half precision, a GPU where there is one."""

import math
import platform
from dataclasses import replace
from itertools import product
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from threading import current_thread

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainer import queries
from trainer.errors import JobError
from trainer.jobs.file import load_job
from trainer.learning.checkpoints import NoCheckpoints
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.hard_negatives import Known
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.learning.pair_loss import cut_share, pair_loss
from trainer.learning.prefetch import Prefetch
from trainer.models import cross_encoder, text_encoder
from trainer.models.device import (
    BF16,
    CUDA,
    FP32,
    PROCESSOR,
    Chips,
    Device,
    choose_device,
    keep_freed_memory,
    look_at_chips,
)
from trainer.models.kept_states import Hidden
from trainer.models.pair_tokens import Tokens
from trainer.models.text_encoder import TextEncoder
from trainer.tasks.loading import load_task

AMPERE, TURING, APPLE = Chips(cuda=(8, 0), cuda_name="A100"), Chips(cuda=(7, 5), cuda_name="T4"), Chips(mps=True)
OLD, NEW = Chips(), Chips(cpu_bf16=True)
ELSEWHERE = Device("meta")  # holds shapes and no numbers: whatever meets a tensor of the processor there fails
LOSSES_AGREE = 2e-2  # of half precision, or another chip's sums, with single precision: share of the loss
STEPS = 50


@pytest.mark.parametrize(
    ("chips", "chosen", "precisions"),
    [
        (AMPERE, "cuda", ("bf16", "fp32", "fp16")),
        (TURING, "cuda", ("fp16", "fp32")),
        (APPLE, "mps", ("fp32", "fp16")),
        (OLD, "cpu", ("fp32",)),
        (NEW, "cpu", ("fp32", "bf16")),  # single precision unless it is asked for: the numbers of every processor
    ],
)
def test_what_is_left_open_is_chosen_by_what_the_chip_does(chips, chosen, precisions):
    assert choose_device("auto", "auto", chips) == choose_device(chosen, precisions[0], chips)
    assert choose_device("auto", "auto", chips).facts() == {"device.kind": chosen, "device.precision": precisions[0]}
    for precision in ("fp32", "bf16", "fp16"):
        if precision in precisions:
            assert choose_device(chosen, precision, chips).precision == precision
        else:
            with pytest.raises(JobError, match=f'device.precision = "{precision}": .* does not compute in it'):
                choose_device(chosen, precision, chips)


def test_every_choice_is_there_or_refused_by_its_key():
    for chips, kind, precision in product((AMPERE, TURING, APPLE, OLD, NEW), ("cpu", "cuda", "mps"), ("auto", "fp32")):
        if kind == "cpu" or (chips.cuda if kind == "cuda" else chips.mps):
            assert choose_device(kind, precision, chips).kind == kind
        else:
            with pytest.raises(JobError, match=f'device.kind = "{kind}": torch finds none on this machine; it has cpu'):
                choose_device(kind, precision, chips)
    with pytest.raises(JobError, match="but emulates it, many times slower; fp32 or fp16 is right"):
        choose_device("cuda", "bf16", TURING)
    assert choose_device("auto", "auto", AMPERE).tell() == "computes on CUDA (A100) in bf16"
    assert choose_device("auto", "auto", OLD).tell() == "computes on the processor in fp32"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {"bert": queries.make_bert(folder / "bert"), "llama": queries.make_llama(folder / "llama")}


def job_of(folder: Path, task: str, model: Path, *more: str):
    data = queries.write_rows(folder / "pairs.csv", queries.make_rows())
    settings = ("train.batch=16", *(("relevant=3.0", "train.layers=1") if task == "retrieval" else ()), *more)
    return load_job(queries.write_job(folder, task, data, model), settings)


class AnswersNo(TorchDispatchMode):
    """Say no where attention asks whether a mask has no holes: of a tensor without numbers nothing can be read."""

    def __torch_dispatch__(self, asked, types, args=(), kwargs=None) -> object:
        reads = asked is torch.ops.aten._local_scalar_dense.default and args[0].device.type == ELSEWHERE.kind
        return False if reads else asked(*args, **(kwargs or {}))


def learn(loss: torch.Tensor, parameters) -> None:
    assert loss.device.type == ELSEWHERE.kind
    loss.backward()
    assert all(parameter.device.type == ELSEWHERE.kind for parameter in parameters)
    assert any(parameter.grad is not None for parameter in parameters)


@pytest.mark.parametrize(("kind", "more"), [("bert", ()), ("llama", ("model.lora={rank = 2, dropout = 0.1}",))])
def test_pairs_are_learnt_where_the_job_says_to_the_last_tensor(models, tmp_path, kind, more):
    task = load_task(job_of(tmp_path, "relevance", models[kind], *more), training=True, device=ELSEWHERE)
    rows = np.arange(8)
    tokens, wanted = task.model.encode(*task.pairs.texts(rows)), ELSEWHERE.put(torch.ones(8))
    with AnswersNo():
        output = task.model.score(tokens, rows)
    learn(pair_loss(output, wanted, wanted), task.model.backbone_parameters())


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("parts", [1, 4])
def test_texts_are_encoded_where_the_job_says_to_the_last_tensor(models, tmp_path, kind, parts):
    task = load_task(job_of(tmp_path, "retrieval", models[kind]), training=True, device=ELSEWHERE)
    encoder, pair = task.encoder, np.arange(6)
    kept = torch.randn(30, 32) if kind == "bert" else torch.ones(30, dtype=torch.int64)
    hidden = Hidden(kept, torch.arange(0, 31, 3))
    contrast = make_contrast(pair, pair, np.empty(0, np.int64), Known(pair * 6 + pair, 6, {}), ELSEWHERE.put)
    with AnswersNo():
        query, text = (encoder.encode(hidden, torch.from_numpy(pair), parts) for _ in range(2))
        learn(contrast_loss(query, text, contrast, 0.05), encoder.parameters())
    encoder.model.zero_grad()
    trips = make_batch([Example(pair[:2], np.array([0.5, 0.5]), pair[2:3], pair[2:3])] * 2, ELSEWHERE.put)
    with AnswersNo():
        unit = torch.nn.functional.normalize(encoder.encode(hidden, trips.texts_E, parts), dim=1)
        learn(batch_loss(unit, trips, 0.1), encoder.parameters())


def losses_on(device: Device, job, ran: list[int] | None = None) -> list[float]:
    losses: list[float] = []
    task = load_task(job, training=True, device=device)
    if ran is not None:
        task.model.blocks[0].self_attn.register_forward_pre_hook(lambda *_: ran.append(1))
    task.fit(lambda report: losses.append(report.loss), NoCheckpoints()).score()
    return losses


@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_half_precision_on_the_processor_has_much_the_same_losses(models, tmp_path, task):
    job = job_of(tmp_path, task, models["bert"])
    whole, half = losses_on(PROCESSOR, job), losses_on(replace(PROCESSOR, precision=BF16), job)
    assert half != whole
    assert half == pytest.approx(whole, rel=LOSSES_AGREE)


@pytest.mark.parametrize("task", [pytest.param("relevance", marks=pytest.mark.long), "retrieval", "next_item"])
def test_a_fit_and_an_evaluation_in_half_precision_come_near_those_in_single(models, bench, tmp_path, task):
    job = bench.job() if task == "next_item" else job_of(tmp_path, task, models["bert"])
    found = {}
    for precision in (FP32, BF16):
        device = replace(PROCESSOR, precision=precision)
        ready = load_task(job, training=True, device=device).fit(lambda _: None, NoCheckpoints())
        found[precision] = ready.score().metrics
        ready.save(tmp_path / precision)
        saved = job.model.model_copy(update={"package": None, "folder": tmp_path / precision})
        again = load_task(job.model_copy(update={"model": saved}), training=False, device=device).take_saved().score()
        assert near(again.metrics, found[precision], 1e-6)
    assert near(found[BF16], found[FP32], 0.05)


def near(one: dict[str, float], other: dict[str, float], most: float) -> bool:
    """Say whether all metrics but times are numbers, and no farther apart."""
    names = [name for name in one if not name.startswith("ms_")]
    return all(math.isfinite(one[name]) and one[name] == pytest.approx(other[name], abs=most) for name in names)


def test_layers_that_run_again_on_the_way_back_have_the_same_losses(models, tmp_path, monkeypatch):
    job = job_of(tmp_path, "relevance", models["llama"], "model.lora={rank = 2, dropout = 0.3}")
    once: list[int] = []
    again: list[int] = []
    whole = losses_on(PROCESSOR, job, once)
    monkeypatch.setattr(cross_encoder, "trains_in_little_memory", lambda _: True)
    assert losses_on(PROCESSOR, job, again) == whole
    assert len(again) - len(once) == len(whole)  # once more a step


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_encoders_that_run_again_on_the_way_back_have_the_same_losses(models, tmp_path, monkeypatch, kind):
    job = job_of(tmp_path, "retrieval", models[kind])
    whole, again = losses_on(PROCESSOR, job), []
    monkeypatch.setattr(text_encoder, "trains_in_little_memory", lambda _: True)
    run = TextEncoder._run_again
    monkeypatch.setattr(TextEncoder, "_run_again", lambda *told: (again.append(1), run(*told))[1])
    assert losses_on(PROCESSOR, job) == pytest.approx(whole, rel=1e-6)  # a processor may add up in another order
    assert again


def test_a_model_that_is_learnt_with_dropout_judges_without_it(models, tmp_path):
    job = job_of(tmp_path, "relevance", models["bert"], "model.lora={rank = 2, dropout = 0.5}")
    model = load_task(job, training=True, device=PROCESSOR).model
    torch.nn.init.ones_(next(one for name, one in model.model.named_parameters() if "lora_B" in name))
    once, again = (model.score_pairs(["red lamp"], ["blue lamp"]) for _ in range(2))
    assert once == again
    tokens = model.encode(["red lamp"], ["blue lamp"])
    assert float(model.score(tokens, np.array([0])).detach()) != pytest.approx(once.item(), abs=1e-6)  # it drops again


def test_a_batch_that_a_thread_put_together_has_the_same_losses(models, tmp_path, monkeypatch):
    """On CUDA alone, but it is the same thread: batches in parts too, and one that came otherwise than expected."""
    makers: list[str] = []
    pad = Tokens.pad
    monkeypatch.setattr(Tokens, "pad", lambda *told: (makers.append(current_thread().name), pad(*told))[1])
    for parts in (1, 3):
        job = job_of(tmp_path, "relevance", models["llama"], f"train.accumulate={parts}")
        monkeypatch.setattr(Device, "prefetches", property(lambda _: False))
        whole = losses_on(PROCESSOR, job)
        makers.clear()
        monkeypatch.setattr(Device, "prefetches", property(lambda _: True))
        assert losses_on(PROCESSOR, job) == whole
        ahead = [name for name in makers if name.startswith("prefetch")]
        assert len(ahead) == (len(whole) - 1) * parts  # all but the first step's


def test_rows_that_were_not_expected_are_made_when_they_are_asked_for():
    made: list[bytes] = []
    prefetch = Prefetch(lambda rows: made.append(rows.tobytes()) or rows.sum(), cut_share)
    prefetch.expect(np.arange(6), 2)
    prefetch.expect(np.arange(6, 9), 1)  # the step of those before begins
    assert [prefetch.of(rows) for rows in np.split(np.arange(6), 3)] == [1, 5, 9]  # learnt in more parts than thought
    prefetch.expect(None, 1)
    assert prefetch.of(np.arange(6, 9)) == 21
    assert made.count(np.arange(6, 9).tobytes()) == 1
    assert len(made) == 6


def test_layers_are_compiled_on_cuda_alone_unless_the_job_says_so():
    able = replace(AMPERE, compiles=True)
    assert choose_device("auto", "auto", able).tell() == "computes on CUDA (A100) in bf16, its layers compiled"
    assert not choose_device("cpu", "auto", able).compiles
    assert not choose_device("auto", "auto", able, compiles=False).compiles
    assert not choose_device("auto", "auto", AMPERE).compiles  # no Triton
    assert choose_device("cpu", "auto", able, compiles=True).facts()["device.compiled"] == "true"
    with pytest.raises(JobError, match="= true: torch compiles with Triton, which is not here"):
        choose_device("auto", "auto", AMPERE, compiles=True)
    with pytest.raises(JobError, match=r"torch compiles with one of c\+\+, g\+\+, clang\+\+, which is not here"):
        choose_device("cpu", "auto", OLD, compiles=True)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_compiled_layers_have_the_same_losses(models, tmp_path, task):
    if not look_at_chips().compiles:
        pytest.skip("no compiler of C++ is here, and torch compiles with one")
    job = job_of(tmp_path, task, models["bert"])
    whole = losses_on(PROCESSOR, job)
    try:
        assert losses_on(replace(PROCESSOR, compiles=True), job) == pytest.approx(whole, rel=1e-4)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    finally:
        torch.compiler.reset()


@pytest.mark.gpu
@pytest.mark.parametrize("task", ["relevance", "retrieval"])
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_gpu_has_the_losses_of_the_processor(models, tmp_path, task, precision):
    chips = look_at_chips()
    if chips.cuda is None:
        pytest.skip("torch finds no CUDA device here: what a GPU alone shows is not shown")
    job = job_of(tmp_path, task, models["bert"], "train.epochs=10")
    here, there = losses_on(PROCESSOR, job)[:STEPS], losses_on(choose_device(CUDA, precision, chips), job)[:STEPS]
    assert there == pytest.approx(here, rel=1e-3 if precision == "fp32" else LOSSES_AGREE)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not asked to keep anything")
def test_what_a_step_gave_back_the_next_one_has_without_new_pages():
    def pages():
        before = getrusage(RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.ones(5_000_000)
            torch.ones(2_000_000)
        return getrusage(RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    pages()
    assert pages() < 10 * 7_000_000 * 4 / 4096 / 10
