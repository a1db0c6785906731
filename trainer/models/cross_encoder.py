"""A language model with a new layer on top that judges a pair of texts: encoders and decoders, whole or by LoRA."""

# Shape suffixes, scoped to this file:
#   B = pairs, T = tokens of the longest, D = width, C = outputs

import warnings
from collections.abc import Sequence
from logging import ERROR
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.data.card import DataCard
from trainer.errors import ModelError
from trainer.models.pair_tokens import TokenBatch, Tokens, copy_tokenizer, find_pad_token, load_pair_tokenizer
from trainer.models.source import ModelSource
from trainer.models.token_losses import note_losses
from trainer.models.weight_checks import check_finite, check_length

if TYPE_CHECKING:
    from trainer.jobs.schema import LoraJob, PairModelJob

Ints = npt.NDArray[np.int64]

HEAD = "head.safetensors"
PAIRS_AT_A_TIME = 64  # without gradients
UNPACKED = "gguf"  # a folder written from a GGUF file still says so, though its weights are plain
MEAN, FIRST, LAST = "mean", "first", "last"


class CrossEncoder:
    """Scores pairs: the model's states pooled to one vector, then a linear layer of some outputs."""

    def __init__(self, source: ModelSource, job: "PairModelJob", outputs: int, layers: int | None) -> None:
        self.source = source
        self.decoder = is_decoder(source)
        self.pooling = job.pooling if job.pooling != "auto" else LAST if self.decoder else MEAN
        self.pad_token = find_pad_token(source)
        self.tokenizer = load_pair_tokenizer(source, job.max_tokens, as_one_text=self.decoder)
        self.model = _load_backbone(source)
        check_length(self.model, job.max_tokens)
        # No dropout: one or two passes do not overfit, and runs repeat exactly.
        self.model.eval()
        self.blocks = _blocks_of(self.model)
        self.trained = _free_layers(self.model, self.blocks, layers)
        if job.lora is not None:
            self.model = _with_adapters(self.model, job.lora)
        width = int(self.model.config.hidden_size)
        self.head = torch.nn.Linear(width, outputs)

    def backbone_parameters(self) -> list[torch.nn.Parameter]:
        """Give what is trained of the model itself, or its adapters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def head_parameters(self) -> list[torch.nn.Parameter]:
        """Give the new layer's, which begins from nothing and takes a higher rate."""
        return list(self.head.parameters())

    def encode(self, queries: Sequence[str], products: Sequence[str]) -> Tokens:
        """Give the tokens of pairs, the longer text cut where they are too many."""
        return self.tokenizer.encode(queries, products)

    def note_losses(self, card: DataCard, queries: Sequence[str], products: Sequence[str]) -> DataCard:
        """Give the card with what of the pairs is not read."""
        return note_losses(card, self.tokenizer.tokenizer, {"pairs": self.tokenizer.join(queries, products)})

    def score(self, tokens: Tokens, rows: Ints) -> Tensor:
        """Give the (B, C) outputs of some pairs, with gradients where they are wanted."""
        batch = tokens.pad(rows, self.pad_token)
        given: dict[str, Tensor] = {"input_ids": batch.ids_BT, "attention_mask": batch.mask_BT.long()}
        if int(getattr(self.model.config, "type_vocab_size", 0) or 0) > 1:
            given["token_type_ids"] = batch.types_BT
        state_BTD = self.model(**given).last_hidden_state
        return self.head(pool(state_BTD, batch, self.pooling))  # type: ignore[no-any-return]

    def score_all(self, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of all pairs, those of similar length together."""
        order = np.argsort(tokens.lengths, kind="stable")  # a batch is as wide as its longest pair
        scores = np.empty((len(tokens), self.head.out_features))
        with torch.inference_mode():
            for start in range(0, len(order), PAIRS_AT_A_TIME):
                rows = order[start : start + PAIRS_AT_A_TIME]
                scores[rows] = self.score(tokens, rows).numpy()
        if not np.isfinite(scores).all():
            raise FloatingPointError("the model's outputs are no numbers; after a fit a smaller train.lr may help")
        return scores

    def score_pairs(self, queries: Sequence[str], products: Sequence[str]) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of pairs of texts, each read once and in the order of the alphabet.

        So pairs that read the same tie to the last bit, and no output hangs on which pairs stand near it.
        """
        asked = list(zip(queries, products, strict=True))
        distinct = sorted(set(asked))
        place = {texts: number for number, texts in enumerate(distinct)}
        output_NC = self.score_all(self.encode([query for query, _ in distinct], [item for _, item in distinct]))
        return np.asarray(output_NC[[place[texts] for texts in asked]])

    def save(self, folder: Path) -> None:
        """Write a folder that transformers reads as the bare model, the head beside it; adapters are folded in."""
        folder.mkdir(parents=True, exist_ok=True)
        model = self.model.merge_and_unload() if hasattr(self.model, "merge_and_unload") else self.model
        self.model = model
        model.save_pretrained(folder, safe_serialization=True)
        copy_tokenizer(self.source, folder)
        (folder / HEAD).write_bytes(serialize({"weight": self.head.weight.data, "bias": self.head.bias.data}))

    def megabytes(self) -> float:
        """Give the size of the weights as saved, 1 MB = 10^6 bytes."""
        tensors = [*self.model.state_dict().values(), *self.head.state_dict().values()]
        return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 1e6


def pool(state_BTD: Tensor, batch: TokenBatch, pooling: str) -> Tensor:
    """Give one vector a row: of padding nothing is seen, whichever way."""
    if pooling == FIRST:
        return state_BTD[:, 0]
    if pooling == LAST:
        last_B = batch.mask_BT.sum(1) - 1  # a decoder's last token alone has seen the whole text
        return state_BTD[torch.arange(len(state_BTD)), last_B]
    weight_BT1 = batch.mask_BT[..., None].to(state_BTD.dtype)
    return (state_BTD * weight_BT1).sum(1) / weight_BT1.sum(1)


def is_decoder(source: ModelSource) -> bool:
    """Say whether the model reads from left to right: its kind continues texts and fills no gaps."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    causal = source.kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return bool(source.config.get("is_decoder", False)) or (
        causal and source.kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def _load_backbone(source: ModelSource) -> Any:
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    packed = source.config.get("quantization_config")
    how = packed.get("quant_method") if isinstance(packed, dict) else packed
    if packed is not None and how != UNPACKED:
        raise ModelError(f"{source.folder}: its weights are quantized ({how}) and cannot be tuned; plain ones can")
    try:
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
        if packed is not None:
            del config.quantization_config
        model, told = AutoModel.from_pretrained(
            source.folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # noqa: BLE001 - a folder may be wrong in every way, and each has its own exception
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{source.folder}: makes no model: {reason}") from None
    missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
    if missing:
        raise ModelError(f"{source.folder}: weight '{missing[0]}' is missing")
    check_finite(model.named_parameters(), source.folder)
    return model


def _blocks_of(model: Any) -> list[Any]:
    """Find the stack of equal layers: the longest list of modules of one kind."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return list(max(lists, key=len, default=()))


def _free_layers(model: Any, blocks: Sequence[Any], layers: int | None) -> int:
    """Let the top *layers* learn, or all; embeddings stay: few of their rows are ever seen. Give how many learn."""
    if layers is not None and layers > len(blocks):
        raise ModelError(f"train.layers: {layers} is more than the model's {len(blocks)}")
    trained = len(blocks) if layers is None else layers
    model.requires_grad_(requires_grad=False)
    if layers is None:
        model.requires_grad_(requires_grad=True)
        model.get_input_embeddings().requires_grad_(requires_grad=False)
    for block in blocks[len(blocks) - trained :]:
        block.requires_grad_(requires_grad=True)
    return trained


def _with_adapters(model: Any, job: "LoraJob") -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ModelError("model.lora: needs the package peft, which is not installed") from None
    settings = LoraConfig(
        r=job.rank, lora_alpha=job.alpha, lora_dropout=job.dropout, target_modules=list(job.targets) or None
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for what was renamed
            return get_peft_model(model, settings)
    except ValueError as error:
        raise ModelError(f"model.lora: {str(error).splitlines()[0]}") from None


def load_head(model: CrossEncoder) -> None:
    """Put the saved layer on top; raise ModelError where it is not the model's."""
    path = model.source.folder / HEAD
    try:
        weights = load_file(path)
        model.head.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path}: not the layer on top of this model: {str(error).splitlines()[0]}") from None
    check_finite(weights.items(), path)
