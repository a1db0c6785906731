"""Models of texts in two steps: what the layers below the trained ones give, which never changes, and the rest."""

# Shape suffixes, scoped to this file:
#   B = texts in a batch, T = tokens of the longest, D = width

import json
from collections.abc import Sequence
from logging import ERROR
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.attention_heads import shape_heads
from trainer.models.backbone import is_decoder, layers_of, load_backbone, measure_width, run_backbone
from trainer.models.bert_layer import PackedBert, open_packed
from trainer.models.device import Device
from trainer.models.model_form import CONFIG, FORM, copy_files, read_form
from trainer.models.pair_tokens import copy_tokenizer, find_pad_token
from trainer.models.source import WEIGHTS, ModelSource
from trainer.models.weight_checks import check_finite

BERT = "bert"
TENSORFLOW = {"gamma": "weight", "beta": "bias"}  # of a LayerNorm
DTYPES = ("dtype", "torch_dtype")  # what a configuration says of its weights, now and in earlier releases


class TextLayers(Protocol):
    """A model whose layers can be frozen from below."""

    model: Any
    layers: list[Any]
    vocabulary: int
    kept: int  # numbers of four bytes that are kept of a token

    def below(self, ids_BT: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:
        """Give what is the same however the layers above the *frozen* ones are trained, token by token."""
        ...

    def above(self, kept: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:
        """Give the (B, T, D) states of the last layer of what `below` gave."""
        ...

    def packed(self, device: Device) -> PackedBert | None:
        """Give what runs the same layers over texts end to end, where there is such a thing for them."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that transformers reads."""
        ...


def open_layers(source: ModelSource, *, whole: bool = False) -> TextLayers:
    """Load a model, one that is always run as a *whole* where that is asked for; raise ModelError."""
    if source.kind != BERT or is_decoder(source):
        return WholeModel(source, load_backbone(source))
    return WholeModel(source, _load_bert(source).eval()) if whole else LayeredBert(source)


class WholeModel:
    """Any kind that transformers knows, run as it runs it: what is kept of a text are its tokens."""

    def __init__(self, source: ModelSource, model: Any) -> None:
        self.source, self.model = source, model
        self.pad_token = find_pad_token(source)
        measure_width(self.model, source, self.pad_token)
        self.layers = layers_of(self.model)
        self.vocabulary = int(self.model.get_input_embeddings().num_embeddings)
        self.kept = 2

    def below(self, ids_BT: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:  # noqa: ARG002 - nothing runs yet
        """Give the tokens themselves."""
        return ids_BT

    def above(self, kept: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:  # noqa: ARG002 - all layers run
        """Give the (B, T, D) states of the last layer."""
        # Kinds such as RoBERTa tell places by the token of padding.
        return run_backbone(self.model, torch.where(mask_BT, kept, self.pad_token), mask_BT)

    def packed(self, device: Device) -> PackedBert | None:  # noqa: ARG002 - no kind but BERT has it
        """Give none."""
        return None

    def save(self, folder: Path) -> None:
        """Write the model as transformers does, its tokenizer beside it."""
        self.model.save_pretrained(folder, safe_serialization=True)
        copy_tokenizer(self.source, folder)
        copy_files(self.source.folder, folder, (FORM,))


class LayeredBert:
    """BERT, run layer by layer: what is kept of a text are the states that the frozen layers give."""

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.model = _load_bert(source)
        self.layers: list[Any] = list(self.model.encoder.layer)
        self.vocabulary = int(source.config["vocab_size"])
        self.kept = int(self.model.config.hidden_size)

    def below(self, ids_BT: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:
        """Give the (B, T, D) states of the last frozen layer."""
        return _run_layers(self.layers[:frozen], self.model.embeddings(input_ids=ids_BT), mask_BT)

    def above(self, kept: Tensor, mask_BT: Tensor, frozen: int) -> Tensor:
        """Give the (B, T, D) states of the last layer."""
        return _run_layers(self.layers[frozen:], kept, mask_BT)

    def packed(self, device: Device) -> PackedBert | None:
        """Give what runs the same layers over texts end to end."""
        return open_packed(self.model, device)

    def save(self, folder: Path) -> None:
        """Write the weights, in single precision; configuration and tokenizer are those it came with."""
        weights = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        (folder / WEIGHTS).write_bytes(serialize(weights, metadata={"format": "pt"}))
        copy_tokenizer(self.source, folder)
        copy_files(self.source.folder, folder, (CONFIG, FORM))
        halves = {key: "float32" for key in DTYPES if self.source.config.get(key) not in (None, "float32")}
        if halves:  # what the source was saved in, and what transformers would cut these weights down to
            (folder / CONFIG).write_text(json.dumps(self.source.config | halves, indent=2) + "\n", encoding="utf-8")


def _run_layers(layers: Sequence[Any], state_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    # Added to what attention weighs: padding gets no share of the softmax.
    bias_B11T = torch.where(mask_BT[:, None, None, :], 0.0, torch.finfo(state_BTD.dtype).min)
    for layer in layers:
        state_BTD = layer(state_BTD, bias_B11T)
    return state_BTD


def _load_bert(source: ModelSource) -> Any:
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.set_verbosity(ERROR)
    try:
        config = BertConfig(**source.config)
        config._attn_implementation = "sdpa"  # noqa: SLF001 - the only way to choose it without from_pretrained
        with torch.device("meta"):
            model = BertModel(config, add_pooling_layer=False)
            shape_heads(list(model.encoder.layer), read_form(source.folder).heads, source.folder)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{source.folder / 'config.json'}: makes no model: {str(error).splitlines()[0]}") from None
    return _fill(model, _read_weights(source), source.weights[0] if len(source.weights) == 1 else source.folder)


def _read_weights(source: ModelSource) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for path in source.weights:
        try:
            weights |= load_file(path)
        except SafetensorError as error:
            raise ModelError(f"{path}: not a safetensors file: {error}") from None
    return weights


def _name_today(name: str) -> str:
    """Give the name that transformers has for a weight now: the first models of this kind were TensorFlow's."""
    bare, dot, last = name.removeprefix("bert.").rpartition(".")
    return f"{bare}{dot}{TENSORFLOW.get(last, last) if bare.endswith('LayerNorm') else last}"


def _fill(model: Any, weights: dict[str, Tensor], path: Path) -> Any:
    """Put the weights in, whatever head they were saved under; raise ModelError where one lacks or does not fit."""
    # Single precision, however it was saved: small steps on half precision round to none.
    named = {_name_today(name): tensor.to(torch.float32) for name, tensor in weights.items()}
    wanted = model.state_dict()
    for name, empty in wanted.items():
        if name not in named:
            raise ModelError(f"{path}: weight '{name}' is missing")
        if named[name].shape != empty.shape:
            found, right = tuple(named[name].shape), tuple(empty.shape)
            raise ModelError(f"{path}: weight '{name}' has shape {found}; config.json says {right}")
    check_finite(((name, named[name]) for name in wanted), path)
    model.load_state_dict({name: named[name] for name in wanted}, assign=True)
    positions = torch.arange(model.config.max_position_embeddings)[None]
    model.embeddings.position_ids = positions
    model.embeddings.token_type_ids = torch.zeros_like(positions)
    return model
