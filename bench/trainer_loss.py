"""Losses after the same samples, ours and transformers' Trainer's: what `python -m bench.trainer --work quality` shows.

Both learn the same rows of homedepot once, with the same model and pooling, rates, warm-up, decay, clip and batch, each
in a process of its own and in an order of its own that the seed draws; the loss is the mean cross-entropy in nats of
test rows, which nobody learns. The spread over the seeds says what a difference is worth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

SEEDS = 3
SAMPLES = 4096  # about: what cleaning leaves of so many
RATE, HEAD_RATE, WARMUP, DECAY, CLIP = 2e-4, 2e-3, 0.1, 0.01, 1.0  # what a job has that says nothing
LOWEST, HIGHEST = 1.0, 3.0  # grades


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of both, seed by seed."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def tell(self) -> dict[str, object]:
        """Give means, spreads, and whether their difference lies within twice what seeds alone would make of it."""
        apart = mean(self.ours) - mean(self.theirs)
        noise = ((_spread(self.ours) ** 2 + _spread(self.theirs) ** 2) / len(self.ours)) ** 0.5
        return {
            "ours": mean(self.ours),
            "theirs": mean(self.theirs),
            "seeds": {"ours": self.ours, "theirs": self.theirs},
            "difference": apart,
            "standard_error": noise,
            "within_noise": abs(apart) <= 2 * noise or apart < 0,
        }


def _spread(losses: Sequence[float]) -> float:
    return stdev(losses) if len(losses) > 1 else 0.0


def measure_losses(ask: Callable[[str, int], float], seeds: int) -> Losses:
    """Let both learn with each seed, in turns."""
    found = [(ask("ours", seed), ask("theirs", seed)) for seed in range(seeds)]
    return Losses(tuple(ours for ours, _ in found), tuple(theirs for _, theirs in found))


def our_loss(task: Any) -> float:
    """Fit a loaded task and give the loss of its test rows."""
    from trainer.data.splits import Part
    from trainer.learning.checkpoints import NoCheckpoints

    task.fit(lambda _: None, NoCheckpoints())
    rows = task.pairs.rows(Part.TEST)
    return _loss(task.model.score_pairs(*task.pairs.texts(rows))[:, 0], task.wanted(rows))


def their_loss(
    folder: str, learnt: Sequence[tuple[str, str, float]], held: Sequence[tuple[str, str, float]], batch: int, seed: int
) -> float:
    """Let Trainer fit the same model with its own loop, order and collator, and give the loss of the held rows."""
    import torch
    from transformers import AutoModel, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    backbone = AutoModel.from_pretrained(folder).eval()  # no dropout, as ours has none
    backbone.get_input_embeddings().requires_grad_(requires_grad=False)

    class Judge(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = backbone, torch.nn.Linear(backbone.config.hidden_size, 1)
            torch.nn.init.normal_(self.head.weight, std=0.02)
            share = mean(_share(row[2]) for row in learnt)
            torch.nn.init.constant_(self.head.bias, float(torch.logit(torch.tensor(share))))

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any, labels: Any) -> dict[str, Any]:
            self.backbone.eval()  # Trainer lets all parts train before each step
            state = self.backbone(input_ids, attention_mask, token_type_ids).last_hidden_state
            output = self.head(state[:, 0])[:, 0]
            return {
                "loss": torch.nn.functional.binary_cross_entropy_with_logits(output, labels),
                "logits": output,
            }

    def tokens(rows: Sequence[tuple[str, str, float]]) -> list[dict[str, Any]]:
        read = tokenizer([row[0] for row in rows], [row[1] for row in rows], truncation=True, max_length=64)
        return [{**{key: read[key][at] for key in read}, "labels": _share(row[2])} for at, row in enumerate(rows)]

    model = Judge()
    groups = [
        {"params": [one for one in backbone.parameters() if one.requires_grad], "lr": RATE},
        {"params": list(model.head.parameters()), "lr": HEAD_RATE},
    ]
    with TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=batch,
            num_train_epochs=1,
            warmup_steps=WARMUP,
            max_grad_norm=CLIP,
            train_sampling_strategy="group_by_length",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            seed=seed,
        )
        optimizer = torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)
        trainer = Trainer(
            model,
            arguments,
            train_dataset=tokens(learnt),
            data_collator=DataCollatorWithPadding(tokenizer),
            optimizers=(optimizer, None),
        )
        trainer.train()
        outputs = trainer.predict(tokens(held)).predictions
    return _loss(outputs, [_share(row[2]) for row in held])


def _share(grade: float) -> float:
    return (grade - LOWEST) / (HIGHEST - LOWEST)


def _loss(outputs: Any, wanted: Any) -> float:
    import torch

    given, told = (torch.as_tensor(one, dtype=torch.float64).reshape(-1) for one in (outputs, wanted))
    return float(torch.nn.functional.binary_cross_entropy_with_logits(given, told))
