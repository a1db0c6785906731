"""A tiny shop whose products show their colour and do not say it, and a tower that has learnt nothing and sees them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.trainer.queries import FILLER, THINGS

SHADES = {"red": (220, 40, 40), "blue": (40, 60, 220)}
PARTS = ("test", "valid", "train", "train")
SIDE = 16  # pixels


@dataclass(frozen=True, slots=True)
class Shown:
    """A query, what answers it, and the file that shows it."""

    query: str
    product_id: str
    title: str
    image: str
    part: str


def make_shown() -> list[Shown]:
    """Ask for each thing in each colour in four wordings, of which one alone is tested; titles name no colour."""
    return [
        Shown(
            f"{filler} {colour} {thing}",
            f"{colour}-{thing}",
            f"{FILLER[place % 4]} {thing}",
            f"{colour}.png",
            PARTS[(place + number) % 4],
        )
        for place, thing in enumerate(THINGS)
        for colour in SHADES
        for number, filler in enumerate(FILLER)
    ]


def write_shop(folder: Path, rows: Sequence[Shown]) -> Path:
    """Write the table, and the squares that it names beside it."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        path = folder / row.image
        if row.image and not path.exists():
            Image.new("RGB", (SIDE, SIDE), SHADES[row.product_id.partition("-")[0]]).save(path)
    return write_table(folder / "pairs.csv", rows)


def write_table(path: Path, rows: Sequence[Shown]) -> Path:
    lines = ["query,product_id,title,image,part"]
    lines += [f"{row.query},{row.product_id},{row.title},{row.image},{row.part}" for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def without_pictures(rows: Sequence[Shown], *products: str) -> list[Shown]:
    return [replace(row, image="") if row.product_id in products else row for row in rows]


def make_tower(folder: Path) -> Path:
    """Write a vision transformer of random weights with what says how it sees."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=SIDE, patch_size=8
    )
    ViTModel(config).save_pretrained(folder)
    told = {"size": {"height": SIDE, "width": SIDE}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def write_pictured_job(folder: Path, data: Path, model: Path, tower: Path, images: str = "", more: str = "") -> Path:
    path = folder / "pictured.toml"
    path.write_text(
        f"""
task = "retrieval"
output = "pictured"
threads = 1
{more}
[data]
kind = "pairs"
path = {json.dumps(str(data))}
leak_check = "warn"
columns = {{ query = "query", product = "title", product_id = "product_id", image = "image", part = "part" }}
split = {{ by = "column" }}

[model]
folder = {json.dumps(str(model))}
max_tokens = 8

[model.images]
folder = {json.dumps(str(tower))}
size = 16
batch = 16
epochs = 30
lr = 1e-2
{images}

[train]
batch = 16
epochs = 4
lr = 2e-3
layers = 2

[search]
weight = 0.0

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "pictured"
"""
    )
    return path
