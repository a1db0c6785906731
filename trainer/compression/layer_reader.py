"""A tuned model as its layers, to be cut and taught: tokens in, states and what is made of them out."""

# Shape suffixes, scoped to this file:
#   B = texts or pairs, T = tokens of the longest, D = width, C = numbers that come out

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob
from trainer.models.attention_heads import count_heads, keep_heads
from trainer.models.backbone import layer_list, layers_of, load_backbone, pool, run_backbone
from trainer.models.cross_encoder import HEAD
from trainer.models.model_form import Form, ModelForm, read_form, write_form
from trainer.models.pair_tokens import TokenBatch, copy_tokenizer, find_pad_token
from trainer.models.source import ModelSource, find_source

CLOSE = 1e-4  # of the largest number: farther from what was cut than this a folder is not that model
TYPES = "layer_types"  # in a configuration that tells of each layer what it is


@dataclass(frozen=True, slots=True)
class LayerReader:
    """A model of layers, and the linear layer on top where it judges pairs."""

    source: ModelSource
    model: Any
    pooling: str
    pad_token: int
    head: torch.nn.Linear | None = None

    def read(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Give the (B, C) outputs, or vectors where there is no layer on top, and the (B, T, D) states below them."""
        state_BTD = run_backbone(self.model, batch.ids_BT, batch.mask_BT, batch.types_BT)
        vector_BD = pool(state_BTD, batch.mask_BT, self.pooling)
        return vector_BD if self.head is None else self.head(vector_BD), state_BTD

    def learns(self) -> list[torch.nn.Parameter]:
        """Let all layers learn, and give what does; word vectors stay: few of their rows are ever seen."""
        self.model.requires_grad_(requires_grad=True)
        self.model.get_input_embeddings().requires_grad_(requires_grad=False)
        own = [one for one in self.model.parameters() if one.requires_grad]
        return own if self.head is None else [*own, *self.head.parameters()]

    def write(self, folder: Path) -> None:
        """Write a folder that open_encoder or open_cross_encoder reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, safe_serialization=True)
        copy_tokenizer(self.source, folder)
        if self.head is not None:
            (folder / HEAD).write_bytes(serialize({"weight": self.head.weight.data, "bias": self.head.bias.data}))


def open_reader(source: ModelSource, pooling: str, head: torch.nn.Linear | None = None) -> LayerReader:
    """Load a model of its own, with a copy of the layer on top; raise ModelError."""
    own = None
    if head is not None:
        own = torch.nn.Linear(head.in_features, head.out_features)
        own.load_state_dict(head.state_dict())
    return LayerReader(
        source, load_backbone(source).requires_grad_(requires_grad=False), pooling, find_pad_token(source), own
    )


def cut(
    reader: LayerReader,
    layers: Sequence[int],
    choose: Callable[[LayerReader], Mapping[int, Sequence[int]]],
    folder: Path,
) -> LayerReader:
    """Keep some *layers*, then the heads that are chosen of each, write the folder, and give what is read from it.

    Raise ModelError where the model read from the folder is not the one that was cut.
    """
    found = layer_list(reader.model)
    kept = [found[place] for place in layers]
    del found[:]
    found.extend(kept)
    _renumber(reader.model, kept, layers)
    heads = choose(reader)
    for place, some in heads.items():
        keep_heads(kept[place], some)
    reader.write(folder)
    before = read_form(reader.source.folder)
    if heads or before.heads:
        width, vocabulary = int(reader.model.config.hidden_size), reader.model.get_input_embeddings().num_embeddings
        counts = tuple(count_heads(layer) for layer in kept)
        write_form(
            ModelForm(Form.PRUNED, before.original or reader.source.digest, width, vocabulary, heads=counts), folder
        )
    again = replace(reader, source=find_source(ModelJob(folder=folder)))
    again = replace(again, model=load_backbone(again.source).requires_grad_(requires_grad=False))
    _check_same(reader, again)
    return again


def _renumber(model: Any, kept: Sequence[Any], layers: Sequence[int]) -> None:
    for number, layer in enumerate(kept):
        for module in layer.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = number
    if isinstance(getattr(model.config, TYPES, None), list):
        setattr(model.config, TYPES, [getattr(model.config, TYPES)[place] for place in layers])
    model.config.num_hidden_layers = len(kept)


def _check_same(cut_one: LayerReader, again: LayerReader) -> None:
    first, second = [token for token in range(3) if token != cut_one.pad_token][:2]
    ids_BT = torch.tensor([[first, second, second, first, second]])
    batch = TokenBatch(ids_BT, torch.zeros_like(ids_BT), torch.ones_like(ids_BT, dtype=torch.bool))
    with torch.no_grad():
        wanted_BC, found_BC = cut_one.read(batch)[0], again.read(batch)[0]
    if len(layers_of(again.model)) != len(layers_of(cut_one.model)) or not bool(
        (wanted_BC - found_BC).abs().max() <= CLOSE * wanted_BC.abs().max()
    ):
        raise ModelError(
            f"{cut_one.source.folder}: a {cut_one.source.kind} model with fewer layers is not read as such"
        )
