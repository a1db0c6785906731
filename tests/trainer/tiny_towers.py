"""Image towers of random weights, of a few thousand numbers, as transformers writes them."""

import json
from pathlib import Path
from typing import Any

import torch

SIDE = 32
SEEN = {
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "size": {"shortest_edge": 40},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
TEXT = {**VISION, "vocab_size": 20, "max_position_embeddings": 8}


def make_model(kind: str) -> Any:
    """Return a model of a kind; the same each time."""
    import transformers as t

    torch.manual_seed(0)
    match kind:
        case "clip":
            return t.CLIPModel(t.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12))
        case "siglip":
            return t.SiglipModel(t.SiglipConfig(text_config=TEXT, vision_config=VISION))
        case "dinov2":
            return t.Dinov2Model(t.Dinov2Config(**VISION, mlp_ratio=2))
        case "vit":
            return t.ViTModel(t.ViTConfig(**VISION))
        case "classifier":
            return t.ViTForImageClassification(t.ViTConfig(**VISION))
        case "resnet":
            sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
            return t.ResNetModel(t.ResNetConfig(**sizes))
    raise AssertionError(kind)


def make_tower(folder: Path, kind: str = "vit") -> Path:
    """Write a tower's folder."""
    make_model(kind).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(SEEN))
    return folder
