"""A language model with a new layer on top that judges a pair of texts: encoders and decoders, whole or by LoRA."""

# Shape suffixes, scoped to this file:
#   B = pairs, T = tokens of the longest, D = width, C = outputs

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
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
from trainer.models.adaptation import Adapted, BareModel
from trainer.models.backbone import (
    FIRST,
    MEAN,
    choose_pooling,
    free_layers,
    is_decoder,
    keep_no_states,
    layers_of,
    load_backbone,
    measure_width,
    pool,
    run_backbone,
    trains_in_little_memory,
)
from trainer.models.bert_layer import PackedBert, open_packed
from trainer.models.device import PROCESSOR, Device
from trainer.models.model_form import FORM, copy_files, form_facts, read_form
from trainer.models.packed_texts import spans_of
from trainer.models.pair_tokens import (
    PaddedRows,
    PairTokenizer,
    Tokens,
    copy_tokenizer,
    find_pad_token,
    load_tokenizer,
    score_distinct,
)
from trainer.models.shards import cut_model, gather
from trainer.models.source import ModelSource
from trainer.models.token_losses import note_losses
from trainer.models.weight_checks import check_finite, check_length

if TYPE_CHECKING:
    from trainer.jobs.schema import LoraJob, PairModelJob

Ints = npt.NDArray[np.int64]

HEAD = "head.safetensors"
PAIRS_AT_A_TIME = 64  # without gradients


class CrossEncoder:
    """Scores pairs: the model's states pooled to one vector, then a linear layer of some outputs."""

    def __init__(
        self, source: ModelSource, job: "PairModelJob", outputs: int, layers: int | None, device: Device = PROCESSOR
    ) -> None:
        self.source, self.device, self.job = source, device, job
        self.pad_token = find_pad_token(source)
        model = load_backbone(source)
        width = measure_width(model, source, self.pad_token)
        check_length(model, job.max_tokens)
        tokenizer = load_tokenizer(source, job.max_tokens, model.get_input_embeddings().num_embeddings)
        self.tokenizer = PairTokenizer(tokenizer, is_decoder(source), self.pad_token)
        # Of the last layer but one token's state is needed then, and what is learnt is better: docs/trainer.md, Speed.
        self.pooling = choose_pooling(source, job.pooling, FIRST if self.tokenizer.opens_a_pair() else MEAN)
        self.blocks = layers_of(model)
        self.trained = free_layers(model, self.blocks, layers)
        self.own = [list(block.parameters()) for block in self.blocks]  # before adapters stand among them
        self.model = model if job.lora is None else _with_adapters(model, job.lora)
        self.head = torch.nn.Linear(width, outputs)
        self.adapted: Adapted | None = None  # what it read before its task
        self._opened: tuple[Any, PackedBert | None] | None = None
        if trains_in_little_memory(self.model):
            keep_no_states(self.model, self.blocks)
        if device.crew.shards:
            cut_model(self.model, self.blocks, device)
        device.compile(self.blocks[len(self.blocks) - self.trained :])
        self.model.to(device.kind)
        self.head.to(device.kind)

    def come_together(self) -> None:
        """Leave the model with the first process, the whole where each holds a part; raise Dismissed in the others."""
        crew = self.device.crew
        if not crew.shards:
            crew.let_helpers_go()
            return
        weights = gather(self.model.state_dict(), keeps=crew.leads)
        crew.let_helpers_go()
        self.device = replace(self.device, crew=replace(crew, shards=False))
        self.model = load_backbone(self.source)
        self.blocks = layers_of(self.model)
        if self.job.lora is not None:
            self.model = _with_adapters(self.model, self.job.lora)
        self.model.load_state_dict(weights)
        self.model.to(self.device.kind)

    def facts(self) -> dict[str, str | int]:
        """Say which model it is."""
        return {**self.source.facts(), **form_facts(read_form(self.source.folder))}

    def bare(self) -> BareModel:
        """Give the model as it came, below the adapters and the layer on top."""
        return BareModel(self.source, self.model, self.own, self.tokenizer.tokenizer, self.pad_token, self.device)

    def width(self) -> int:
        """Give how many numbers are held of a token."""
        return int(self.model.config.hidden_size)

    def layers(self) -> int:
        """Give how many layers there are."""
        return len(self.blocks)

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

    def score(self, tokens: PaddedRows, rows: Ints) -> Tensor:
        """Give the (B, C) outputs of some pairs, with gradients where they are wanted."""
        return self.head(self._pooled(tokens, rows))  # type: ignore[no-any-return]

    def _pooled(self, tokens: PaddedRows, rows: Ints) -> Tensor:
        """Give the (B, D) states of some pairs below the layer on top."""
        if (packed := self._packed()) is not None and isinstance(tokens, Tokens):
            return self._pool_packed(packed, tokens, rows)
        batch = tokens.pad(rows, self.pad_token).where(self.device.put)
        with self.device.autocast():
            state_BTD = run_backbone(self.model, batch.ids_BT, batch.mask_BT, batch.types_BT)
        # In single precision from here on: the sum over tokens, the judgement and its loss.
        return pool(state_BTD.float(), batch.mask_BT, self.pooling)

    def _packed(self) -> PackedBert | None:
        if self._opened is None or self._opened[0] is not self.model:  # adapters are folded in when it is saved
            self._opened = (self.model, open_packed(self.model, self.device))
        return self._opened[1]

    def _pool_packed(self, packed: PackedBert, tokens: Tokens, rows: Ints) -> Tensor:
        order = np.argsort(tokens.lengths[rows], kind="stable")
        spans, places_P = spans_of(tokens.lengths[rows]), tokens.places(rows[order])
        ids_P, types_P = torch.from_numpy(tokens.ids_P[places_P]), torch.from_numpy(tokens.types_P[places_P])
        pooled_BD = packed.pooled(packed.embed(ids_P, spans, types_P), spans, self.pooling)
        return pooled_BD[torch.from_numpy(np.argsort(order))]

    def score_all(self, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of all pairs, those of similar length together."""
        return self._in_batches(tokens, self.score, self.head.out_features)

    def embed_pairs(self, queries: Sequence[str], products: Sequence[str]) -> npt.NDArray[np.float64]:
        """Give the (N, D) states of pairs that the layer on top judges by."""
        width = self.head.in_features
        return score_distinct(queries, products, lambda *t: self._in_batches(self.encode(*t), self._pooled, width))

    def _in_batches(
        self, tokens: Tokens, give: Callable[[PaddedRows, Ints], Tensor], width: int
    ) -> npt.NDArray[np.float64]:
        order = np.argsort(tokens.lengths, kind="stable")  # a batch is as wide as its longest pair
        scores = np.empty((len(tokens), width))
        packed = self._packed()
        ready = nullcontext() if packed is None else packed.at_rest(len(tokens.ids_P))
        # What is fetched of a model that is cut is learnt with again: no tensor of inference mode could be.
        quiet = torch.no_grad() if self.device.crew.shards else torch.inference_mode()
        with quiet, _at_rest(self.model), ready:
            # From the longest down: each batch finds room in what the one before gave back.
            for start in reversed(range(0, len(order), PAIRS_AT_A_TIME)):
                rows = order[start : start + PAIRS_AT_A_TIME]
                scores[rows] = give(tokens, rows).cpu().numpy()
        if not np.isfinite(scores).all():
            raise FloatingPointError("the model's outputs are no numbers; after a fit a smaller train.lr may help")
        return scores

    def score_pairs(self, queries: Sequence[str], products: Sequence[str]) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of pairs of texts, each read once and in the order of the alphabet."""
        return score_distinct(queries, products, lambda *texts: self.score_all(self.encode(*texts)))

    def save(self, folder: Path) -> None:
        """Write a folder that transformers reads as the bare model, the head beside it; adapters are folded in."""
        folder.mkdir(parents=True, exist_ok=True)
        model = self.model.merge_and_unload() if hasattr(self.model, "merge_and_unload") else self.model
        self.model = model
        model.save_pretrained(folder, safe_serialization=True)
        copy_tokenizer(self.source, folder)
        copy_files(self.source.folder, folder, (FORM,))
        (folder / HEAD).write_bytes(serialize({"weight": self.head.weight.data, "bias": self.head.bias.data}))

    def megabytes(self) -> float:
        """Give the size of the weights as saved, 1 MB = 10^6 bytes."""
        tensors = [*self.model.state_dict().values(), *self.head.state_dict().values()]
        return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 1e6


@contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """Let the dropout of adapters drop nothing within the block: what is judged is not drawn."""
    dropping = [module for module in model.modules() if module.training]
    for module in dropping:
        module.training = False
    try:
        yield
    finally:
        for module in dropping:
            module.training = True


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


def start_head(model: CrossEncoder, wanted: Tensor, seed: int, *, classes: bool) -> None:
    """Draw the new layer, and let it say the base rate at first."""
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.head.weight, std=0.02)  # as the layers below it were drawn
    torch.nn.init.zeros_(model.head.bias)
    if not classes:
        # Else the first steps go into learning how many pairs are relevant, through all layers.
        model.head.bias.data[:] = torch.logit(wanted.float().mean(), eps=1e-3).item()


def load_head(model: CrossEncoder) -> None:
    """Put the saved layer on top; raise ModelError where it is not the model's."""
    path = model.source.folder / HEAD
    try:
        weights = load_file(path)
        model.head.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path}: not the layer on top of this model: {str(error).splitlines()[0]}") from None
    check_finite(weights.items(), path)
