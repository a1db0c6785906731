"""A BERT-like text encoder read from safetensors: frozen lower layers whose outputs are kept, trained upper ones."""

# Shape suffixes, scoped to this file:
#   E = all texts, B = texts in a batch, T = tokens of the longest, P = tokens of all texts end to end, D = width

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.source import NEEDED, WEIGHTS, ModelSource, find_source
from trainer.models.weight_checks import check_finite, check_length

if TYPE_CHECKING:
    from trainer.jobs.schema import ModelJob

TEXTS_AT_A_TIME = 256  # without gradients
TEXTS_KEPT = 8192  # whose tokens are held where their vectors alone are wanted
ABANDONED = 3600.0  # s since a cache file that is not whole was touched
LENGTH_GROUPS = 8  # with gradients: texts of similar length share a matrix, so that little of it is padding


@dataclass(frozen=True, slots=True)
class Hidden:
    """Outputs of the frozen layers for a list of texts, without padding."""

    packed_PD: Tensor
    starts: Tensor  # (texts + 1,) where each text begins

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pad(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Give the (B, T, D) outputs of some texts and the (B, T) mask of what is not padding."""
        start_B = self.starts[texts]
        length_B = self.starts[texts + 1] - start_B
        place_T = torch.arange(int(length_B.max()))
        mask_BT = place_T[None] < length_B[:, None]
        row_BT = torch.where(mask_BT, start_B[:, None] + place_T[None], 0)
        return self.packed_PD[row_BT], mask_BT


@dataclass(frozen=True, slots=True)
class UntrainedOutputs:
    """What a model gives before any training: all of it for the frozen layers, the vectors for comparison."""

    hidden: Hidden
    vectors_ED: Tensor


def unit(vectors: Tensor) -> npt.NDArray[np.float32]:
    """Give the vectors, a row each, at length 1."""
    return np.asarray(torch.nn.functional.normalize(vectors, dim=1).numpy(), dtype=np.float32)


def find_model(job: "ModelJob") -> ModelSource:
    """Find a model that this encoder reads; raise ModelError."""
    source = find_source(job)
    if source.kind != "bert":
        kind = source.config.get("model_type")
        raise ModelError(f"{source.folder / 'config.json'}: model_type is {kind!r}; 'bert' is what this task reads")
    return source


class TextEncoder:
    """Encodes texts as the mean of their tokens' last states."""

    def __init__(self, source: ModelSource, *, trained_layers: int, max_tokens: int) -> None:
        self.source = source
        self.max_tokens = max_tokens
        self.model = _load_bert(source)
        self.layers: list[Any] = list(self.model.encoder.layer)
        check_length(self.model, max_tokens)
        if trained_layers > len(self.layers):
            raise ModelError(f"train.layers: {trained_layers} is more than the model's {len(self.layers)}")
        self.frozen = len(self.layers) - trained_layers
        # No dropout: what little is trained does not overfit in one pass, and runs repeat exactly.
        self.model.eval()
        self.model.requires_grad_(requires_grad=False)
        for layer in self.layers[self.frozen :]:
            layer.requires_grad_(requires_grad=True)
        self.tokenizer = _load_tokenizer(source, max_tokens)

    def parameters(self) -> list[torch.nn.Parameter]:
        """Give what is trained."""
        return [parameter for layer in self.layers[self.frozen :] for parameter in layer.parameters()]

    def run_untrained(self, texts: Sequence[str], cache: Path | None) -> UntrainedOutputs:
        """Run the untrained model over all texts, or read what an earlier run of the same model and texts kept."""
        kept = None if cache is None else cache / f"frozen-{self._cache_key(texts)}.safetensors"
        if kept is not None and (found := _read_kept(kept)) is not None:
            return found
        # What the frozen layers give never changes, and is most of what a fit would compute: once for all epochs.
        hidden = self._run_frozen(texts)
        beginning = UntrainedOutputs(hidden, self.encode_all(hidden))
        if kept is not None:
            _keep(beginning, kept)
        return beginning

    def encode(self, hidden: Hidden, texts: Tensor) -> Tensor:
        """Give the (B, D) vectors of some texts, with gradients for the trained layers."""
        lengths = hidden.starts[texts + 1] - hidden.starts[texts]
        order = torch.argsort(lengths, stable=True)
        parts = [self._run_trained(*hidden.pad(texts[part])) for part in order.chunk(LENGTH_GROUPS)]
        return torch.cat(parts)[torch.argsort(order)]

    def encode_all(self, hidden: Hidden) -> Tensor:
        """Give the vectors of all texts, without gradients."""
        return self.encode_some(hidden, torch.arange(len(hidden)))

    def encode_some(self, hidden: Hidden, texts: Tensor) -> Tensor:
        """Give the vectors of some texts, without gradients."""
        order = torch.argsort(hidden.starts[texts + 1] - hidden.starts[texts], stable=True)
        with torch.no_grad():
            parts = [self._run_trained(*hidden.pad(texts[part])) for part in torch.split(order, TEXTS_AT_A_TIME)]
        return torch.cat(parts)[torch.argsort(order)]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of texts that were not seen before."""
        # Some at a time: what the layers below give of a token is as large as a text's vector.
        parts = [texts[start : start + TEXTS_KEPT] for start in range(0, len(texts), TEXTS_KEPT)]
        return torch.cat([self.encode_all(self._run_frozen(part)) for part in parts])

    def read_vectors(self, texts: Sequence[str], cache: Path | None) -> Tensor:
        """Give the vectors of texts that nothing is trained on: what they came from is kept in the cache alone."""
        return self.embed(texts) if cache is None else self.run_untrained(texts, cache).vectors_ED

    def save(self, folder: Path) -> None:
        """Write a folder that this class, transformers and sentence encoders of the same kind read."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        (folder / WEIGHTS).write_bytes(serialize(weights, metadata={"format": "pt"}))
        for name in NEEDED:
            (folder / name).write_bytes((self.source.folder / name).read_bytes())

    def megabytes(self) -> float:
        """Give the size of the weights as saved, 1 MB = 10^6 bytes."""
        tensors = self.model.state_dict().values()
        return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 1e6

    def _cache_key(self, texts: Sequence[str]) -> str:
        settings = f"{self.source.digest} {self.frozen} {self.max_tokens}"
        return hashlib.sha256("\x1e".join((settings, *texts)).encode()).hexdigest()[:24]

    def _run_frozen(self, texts: Sequence[str]) -> Hidden:
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
        packed_PD = torch.empty(int(starts[-1]), self.model.config.hidden_size)
        order = torch.from_numpy(np.argsort(lengths, kind="stable"))
        with torch.no_grad():
            for part in torch.split(order, TEXTS_AT_A_TIME):
                rows = [torch.tensor(tokens[text]) for text in part.tolist()]
                ids_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
                mask_BT = torch.arange(ids_BT.shape[1])[None] < torch.from_numpy(lengths)[part][:, None]
                state_BTD = self.model.embeddings(input_ids=ids_BT)
                state_BTD = _run_layers(self.layers[: self.frozen], state_BTD, mask_BT)
                for text, state_TD in zip(part.tolist(), state_BTD, strict=True):
                    packed_PD[starts[text] : starts[text + 1]] = state_TD[: lengths[text]]
        return Hidden(packed_PD, starts)

    def _run_trained(self, state_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        state_BTD = _run_layers(self.layers[self.frozen :], state_BTD, mask_BT)
        # The mean of tokens: what encoders of sentences are trained for (Reimers and Gurevych 2019).
        weight_BT1 = mask_BT[..., None].to(state_BTD.dtype)
        return (state_BTD * weight_BT1).sum(1) / weight_BT1.sum(1)


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


def _fill(model: Any, weights: dict[str, Tensor], path: Path) -> Any:
    """Put the weights in, whatever head they were saved under; raise ModelError where one lacks or does not fit."""
    # Single precision, however it was saved: small steps on half precision round to none.
    named = {name.removeprefix("bert."): tensor.to(torch.float32) for name, tensor in weights.items()}
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


def _load_tokenizer(source: ModelSource, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    path = source.folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the Rust side raises plain Exception
        raise ModelError(f"{path}: not a tokenizer: {error}") from None
    vocabulary = int(source.config["vocab_size"])
    if tokenizer.get_vocab_size() > vocabulary:
        raise ModelError(f"{path}: has {tokenizer.get_vocab_size()} tokens, the model only {vocabulary}")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _read_kept(path: Path) -> UntrainedOutputs | None:
    """Read what was kept; a file cut short, by a full disk say, counts as none."""
    try:
        tensors = load_file(path)
        return UntrainedOutputs(Hidden(tensors["packed"], tensors["starts"]), tensors["vectors"])
    except (SafetensorError, KeyError, OSError):
        return None


def _keep(beginning: UntrainedOutputs, path: Path) -> None:
    """Write under another name first: two runs at once, or a kill, never leave half a file under this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob("frozen-*.partial"):  # of writers that were killed: writing takes no hour
        with suppress(FileNotFoundError):
            if time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    partial = path.with_suffix(f".{os.getpid()}.partial")
    hidden = beginning.hidden
    # To the file at once: it is the largest thing there is, and bytes of it would be the same again.
    save_file(
        {"packed": hidden.packed_PD, "starts": hidden.starts, "vectors": beginning.vectors_ED.contiguous()}, partial
    )
    partial.replace(path)
