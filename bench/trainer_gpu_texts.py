"""What `bench.trainer_gpu` fits: models of random weights, and pairs of short texts of random words."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WORDS = 20_000
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
QUERY, PRODUCT = (1.1, 0.45), (2.4, 0.55)  # mean and spread of the log of how many words: about 3, and about 11
LONGEST = 48  # words


@dataclass(frozen=True, slots=True)
class Size:
    """A model, and how it is fitted."""

    name: str
    layers: int
    width: int
    heads: int
    pairs: int
    batches: tuple[int, ...]

    @property
    def layer_weights(self) -> int:
        """Give the weights that a token passes through."""
        return self.layers * 12 * self.width**2


SIZES = (
    Size("110M", 12, 768, 12, 20_480, (64, 256)),
    Size("500M", 24, 1280, 20, 10_240, (64, 256)),
)
DRY = Size("dry", 2, 32, 2, 96, (8,))


def write_model(folder: Path, size: Size) -> None:
    """Write a BERT of random weights and a tokenizer that knows the words."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    known = {token: place for place, token in enumerate((*SPECIAL, *words()))}
    config = BertConfig(
        vocab_size=len(known),
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)


def words() -> list[str]:
    return [f"w{number}" for number in range(WORDS)]


def write_pairs(path: Path, size: Size) -> None:
    """Write pairs: some to learn, a few to test on."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["query", "product", "label", "part"])
        for number in range(size.pairs + 8):
            part = "train" if number < size.pairs else "test"
            rows.writerow([_text(rng, *QUERY), _text(rng, *PRODUCT), number % 2, part])


def _text(rng: np.random.Generator, mean: float, spread: float) -> str:
    length = int(np.clip(round(rng.lognormal(mean, spread)), 1, LONGEST))
    return " ".join(f"w{number}" for number in rng.integers(0, WORDS, length))


def read_pairs(path: Path) -> list[tuple[str, str, float]]:
    """Give what is learnt."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [(r["query"], r["product"], float(r["label"])) for r in csv.DictReader(stream) if r["part"] == "train"]
