"""How each side of `bench.trainer_gpu` fits, looked at for some steps after the first ones."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from bench.trainer_gpu_texts import DRY, SIZES, Size, read_pairs

FIRST, STEPS = 10, 40  # in which kernels are chosen and memory is asked for; and those that are measured
TOKENS = 64  # at most, of both texts
SIDE = 8192  # of the matrices whose product is the rate
JOB = """
task = "{work}"
output = "out"
{more}
[data]
kind = "pairs"
path = "pairs.csv"
leak_check = "warn"
columns = {{ query = "query", product = "product", label = "label", part = "part" }}
split = {{ by = "column" }}

[model]
folder = "model"
max_tokens = {tokens}

[device]
kind = "{device}"

[train]
batch = {batch}
{train}

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "gpu"
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a process measures."""

    folder: str  # of the model and the pairs
    work: str
    side: str
    batch: int
    dry: bool

    @property
    def size(self) -> Size:
        """Give the model's."""
        name = Path(self.folder).name
        return next(size for size in (*SIZES, DRY) if size.name == name)

    @property
    def first(self) -> int:
        """Give how many steps are not measured."""
        return 2 if self.dry else FIRST

    @property
    def steps(self) -> int:
        """Give how many are."""
        return 4 if self.dry else STEPS

    @property
    def device(self) -> str:
        """Give where it is computed."""
        return "cpu" if self.dry else "cuda"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did."""

    examples: float  # a second
    share: float  # of the rate at which matrices are multiplied
    matmul: float  # operations a second
    peak_mb: float


class EnoughMeasuredError(Exception):
    """Ends a fit that has been looked at for long enough."""


class Clock:
    """Counts seconds after the first steps."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.done = setting, 0
        self.began = self.ended = 0.0

    def tick(self) -> None:
        """Tell that a step is done; raise EnoughMeasuredError after the last."""
        self.done += 1
        if self.done == self.setting.first:
            self._wait()
            self.began = perf_counter()
        if self.done == self.setting.first + self.setting.steps:
            self._wait()
            self.ended = perf_counter()
            raise EnoughMeasuredError

    def tell(self, tokens: float) -> Measured:
        """Sum up, an example having so many *tokens* on average."""
        examples = self.setting.steps * self.setting.batch / (self.ended - self.began)
        peak, rate = self._peak_mb(), matmul_rate(self.setting)
        return Measured(examples, examples * tokens * 6 * self.setting.size.layer_weights / rate, rate, peak)

    def _wait(self) -> None:
        """Let the chip end what it was told."""
        import torch

        if not self.setting.dry:
            torch.cuda.synchronize()

    def _peak_mb(self) -> float:
        import torch

        return getrusage(RUSAGE_SELF).ru_maxrss / 1024 if self.setting.dry else torch.cuda.max_memory_allocated() / 1e6


def matmul_rate(setting: Setting) -> float:
    """Give how many operations a second large matrices are multiplied by, in the precision that is trained in."""
    import torch

    side, times = (256, 5) if setting.dry else (SIDE, 30)
    kind = torch.float32 if setting.dry or torch.cuda.get_device_capability() < (8, 0) else torch.bfloat16
    one, other = (torch.randn(side, side, device=setting.device, dtype=kind) for _ in range(2))
    for _ in range(3):
        one @ other
    if not setting.dry:
        torch.cuda.synchronize()
    began = perf_counter()
    for _ in range(times):
        one @ other
    if not setting.dry:
        torch.cuda.synchronize()
    return float(2 * side**3 * times / (perf_counter() - began))


def ours(setting: Setting) -> Measured:
    """Fit as the trainer does, from a job file."""
    from trainer.jobs.file import load_job
    from trainer.learning.checkpoints import NoCheckpoints
    from trainer.tasks.on_device import load_on_device

    retrieves = setting.work == "retrieval"
    learnt = setting.batch * (setting.first + setting.steps)
    train = f"pairs = {learnt}\nepochs = 4\n"
    train += f"negatives = 0\nlayers = {setting.size.layers}\n" if retrieves else ""
    dry = "threads = 1\n" if setting.dry else ""
    more = dry + "relevant = 0.0\n[search]\nweight = 1.0\n" if retrieves else dry
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "job.toml")
        how = {"work": setting.work, "batch": setting.batch, "device": setting.device, "tokens": TOKENS}
        path.write_text(JOB.format(**how, more=more, train=train))
        places = (f"data.path={setting.folder}/pairs.csv", f"model.folder={setting.folder}/model")
        task: Any = load_on_device(load_job(path, places), training=True)[0]
    clock = Clock(setting)
    with suppress(EnoughMeasuredError):
        task.fit(lambda _: clock.tick(), NoCheckpoints())
    return clock.tell(mean_tokens(setting))


def mean_tokens(setting: Setting) -> float:
    """Give the tokens of an example: a pair read as one text, or as two."""
    rows = read_pairs(Path(setting.folder, "pairs.csv"))
    special = 3 if setting.work == "relevance" else 4
    return special + sum(len(query.split()) + len(product.split()) for query, product, _ in rows) / len(rows)


def trainer(setting: Setting) -> Measured:
    """Fit with transformers' Trainer: texts of one length together, half precision, a fused optimizer, workers."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    clock = Clock(setting)

    class Ticks(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    folder = Path(setting.folder, "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=1,
        problem_type="multi_label_classification",
        hidden_dropout_prob=0.0,  # as ours; with dropout attention takes the slow way
        attention_probs_dropout_prob=0.0,
        dtype=torch.float32,
    )
    model.get_input_embeddings().requires_grad_(requires_grad=False)  # the same layers are trained
    rows = read_pairs(Path(setting.folder, "pairs.csv"))
    encoded = tokenizer([row[0] for row in rows], [row[1] for row in rows], truncation=True, max_length=TOKENS)
    told = [{**{key: encoded[key][place] for key in encoded}, "labels": [row[2]]} for place, row in enumerate(rows)]
    halves = not setting.dry and torch.cuda.is_bf16_supported(including_emulation=False)
    with TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            per_device_train_batch_size=setting.batch,
            max_steps=setting.first + setting.steps + 1,
            train_sampling_strategy="group_by_length",
            optim="adamw_torch_fused",
            bf16=halves,
            fp16=not setting.dry and not halves,
            tf32=True if halves else None,
            dataloader_num_workers=0 if setting.dry else 2,
            dataloader_pin_memory=not setting.dry,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            use_cpu=setting.dry,
            disable_tqdm=True,
            seed=0,
        )
        collate = DataCollatorWithPadding(tokenizer)
        with suppress(EnoughMeasuredError):
            Trainer(model, arguments, train_dataset=told, data_collator=collate, callbacks=[Ticks()]).train()
    return clock.tell(mean_tokens(setting))


def sentence_transformers(setting: Setting) -> Measured:
    """Fit with MultipleNegativesRankingLoss in half precision, a fused optimizer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import batch_to_device

    torch.set_float32_matmul_precision("high")
    model = SentenceTransformer(str(Path(setting.folder, "model")), device=setting.device)
    model.max_seq_length = TOKENS
    loss_of = MultipleNegativesRankingLoss(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "embeddings" not in name
    learnt = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=2e-5, fused=True)
    rows = read_pairs(Path(setting.folder, "pairs.csv"))
    half = torch.bfloat16 if setting.dry or torch.cuda.get_device_capability() >= (8, 0) else torch.float16
    clock = Clock(setting)
    model.train()
    with suppress(EnoughMeasuredError):
        while True:
            for start in range(0, len(rows) - setting.batch + 1, setting.batch):
                batch = rows[start : start + setting.batch]
                told = (model.tokenize([row[side] for row in batch]) for side in (0, 1))
                sides = [batch_to_device(one, setting.device) for one in told]
                with torch.autocast(setting.device, half, enabled=not setting.dry):
                    loss = loss_of(sides, torch.zeros(len(batch), device=setting.device))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(learnt, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                clock.tick()
    return clock.tell(mean_tokens(setting))


SIDES: dict[str, Callable[[Setting], Measured]] = {
    "ours": ours,
    "trainer": trainer,
    "sentence-transformers": sentence_transformers,
}
