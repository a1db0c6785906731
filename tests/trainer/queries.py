"""A tiny shop that is searched: judged pairs whose rule can be learnt, a BERT and a Llama with its words."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COLOURS = ("red", "blue", "green", "white", "black", "grey")
THINGS = ("lamp", "chair", "table", "sofa", "shelf", "rug", "mirror", "clock")
FILLER = ("oak", "small", "large", "new")
WORDS = (*COLOURS, *THINGS, *FILLER)


@dataclass(frozen=True, slots=True)
class Row:
    query: str
    product_id: str
    title: str
    grade: float  # 1, 2 or 3
    part: str
    room: str


def make_rows(seed: int = 0, *, by_colour: bool = False) -> list[Row]:
    """Ask every colour and thing of some products; a query is in one part alone.

    A grade counts what agrees of colour and thing, or, for models too small to compare words, is the product's colour.
    """
    rng = np.random.default_rng(seed)
    products = [(f"{100 + n}", c, t, str(rng.choice(FILLER))) for n, (c, t) in enumerate(pairs())]
    rows = []
    for number, (colour, thing) in enumerate(pairs()):
        part = ("test", "valid", "train", "train")[number % 4]
        own = number
        alike = [n for n, (c, t) in enumerate(pairs()) if (c == colour) != (t == thing)]
        others = [n for n, (c, t) in enumerate(pairs()) if c != colour and t != thing]
        for item in (own, *rng.choice(alike, 3, replace=False), *rng.choice(others, 3, replace=False)):
            key, c, t, filler = products[item]
            grade = 1.0 + COLOURS.index(c) // 2 if by_colour else 1.0 + (c == colour) + (t == thing)
            room = "hall" if THINGS.index(t) % 2 else "kitchen"
            rows.append(Row(f"{colour} {thing}", key, f"{filler} {c} {t}", grade, part, room))
    return rows


def pairs() -> list[tuple[str, str]]:
    return [(colour, thing) for thing in THINGS for colour in COLOURS]


def write_rows(path: Path, rows: list[Row], label: str = "grade") -> Path:
    names = {1.0: "no", 2.0: "partly", 3.0: "yes"}
    lines = ["query,product_id,title,grade,part,room"]
    for row in rows:
        value = names[row.grade] if label == "class" else int(row.grade == 3.0) if label == "binary" else row.grade
        lines.append(f"{row.query},{row.product_id},{row.title},{value},{row.part},{row.room}")
    path.write_text("\n".join(lines) + "\n")
    return path


def make_tokenizer(folder: Path, words: tuple[str, ...] = WORDS, *, decoder: bool = False) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    vocabulary = {token: place for place, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    if not decoder:
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_bert(folder: Path, seed: int = 0, *, shard_size: str = "1GB", layers: int = 2) -> Path:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder, max_shard_size=shard_size)
    return make_tokenizer(folder)


def write_gap(folder: Path) -> Path:
    """Give a model's tokenizer a token for a gap, in the place of one of its words."""
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["[MASK]"] = vocabulary.pop("new")
    path.write_text(json.dumps(told))
    return folder


def make_llama(folder: Path, seed: int = 0) -> Path:
    """Write a decoder that names no pad token, as most do not."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=None,
        bos_token_id=2,
        eos_token_id=3,
    )
    LlamaModel(config).save_pretrained(folder)
    return make_tokenizer(folder, decoder=True)


def write_job(folder: Path, task: str, data: Path, model: Path, more: str = "") -> Path:
    path = folder / f"{task}.toml"
    path.write_text(
        f"""
task = "{task}"
output = "{task}"
threads = 1
{more}
[data]
kind = "pairs"
path = {json.dumps(str(data))}
leak_check = "warn"
columns = {{ query = "query", product = "title", product_id = "product_id", label = "grade", part = "part", slices = ["room"] }}
split = {{ by = "column" }}

[model]
folder = {json.dumps(str(model))}
max_tokens = 16

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "{task}"
"""
    )
    return path
