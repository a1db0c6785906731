"""A text encoder of any kind, read from safetensors: frozen lower layers, trained upper ones, one vector a text."""

# Shape suffixes, scoped to this file:
#   E = all texts, B = texts in a batch, T = tokens of the longest, P = tokens of all texts end to end, D = width

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trainer.errors import ModelError
from trainer.models.adaptation import Adapted, BareModel
from trainer.models.backbone import MEAN, keep_no_states, pool, trains_in_little_memory
from trainer.models.device import FP32, PROCESSOR, Device
from trainer.models.kept_states import Hidden, UntrainedOutputs, keep_outputs, read_kept
from trainer.models.model_form import read_form
from trainer.models.packed_texts import spans_of
from trainer.models.pair_tokens import encodings_of, find_pad_token, ids_of, load_tokenizer, places_of
from trainer.models.sentence_folder import choose_text_pooling, tell_prompts, write_sentence_folder
from trainer.models.shards import cut_model, gather
from trainer.models.source import ModelSource, reading_facts
from trainer.models.text_layers import open_layers
from trainer.models.weight_checks import check_length

TEXTS_AT_A_TIME = 256  # without gradients
LOOKED_AT = 1000  # texts: enough to say how long they are
TEXTS_KEPT = 8192  # whose tokens are held where their vectors alone are wanted
LENGTH_GROUPS = 8  # with gradients: texts of similar length share a matrix, so that little of it is padding


def unit(vectors: Tensor) -> npt.NDArray[np.float32]:
    """Give the vectors, a row each, at length 1."""
    return np.asarray(torch.nn.functional.normalize(vectors, dim=1).numpy(), dtype=np.float32)


class TextEncoder:
    """Encodes texts as the mean of their tokens' last states, or as what another pooling makes of them."""

    def __init__(
        self,
        source: ModelSource,
        *,
        trained_layers: int,
        max_tokens: int,
        pooling: str = "auto",
        device: Device = PROCESSOR,
    ) -> None:
        self.source, self.trained = source, trained_layers
        self.max_tokens, self.device = max_tokens, device
        self.whole = device.crew.shards  # it runs as a whole alone, also when it has come together
        self.pooling = choose_text_pooling(source, pooling)
        tell_prompts(source.folder)
        self.pad_token = find_pad_token(source)
        self._open()
        self.tokenizer = load_tokenizer(source, max_tokens, self.stack.vocabulary)

    def _open(self) -> None:
        device = self.device
        self.stack = open_layers(self.source, whole=self.whole)
        self.model, self.layers = self.stack.model, self.stack.layers
        check_length(self.model, self.max_tokens)
        if self.trained > len(self.layers):
            raise ModelError(f"train.layers: {self.trained} is more than the model's {len(self.layers)}")
        self.frozen = len(self.layers) - self.trained
        # No dropout: what little is trained does not overfit in one pass, and runs repeat exactly.
        self.model.eval()
        self.model.requires_grad_(requires_grad=False)
        for layer in self.layers[self.frozen :]:
            layer.requires_grad_(requires_grad=True)
        self.runs_again = trains_in_little_memory(self.model)
        if device.crew.shards:
            # Several passes, each over a few texts, would fetch all weights as often: each layer runs again by itself.
            if getattr(self.model, "supports_gradient_checkpointing", False):
                keep_no_states(self.model, self.layers[self.frozen :])
            cut_model(self.model, self.layers, device)
        device.compile(self.layers[self.frozen :])
        self.model.to(device.kind)
        self.packed = self.stack.packed(device)
        self.adapted: Adapted | None = None  # what it read before its task

    def come_together(self) -> None:
        """Leave the model with the first process, the whole where each holds a part; raise Dismissed in the others."""
        crew = self.device.crew
        if not crew.shards:
            crew.let_helpers_go()
            return
        weights = gather(self.model.state_dict(), keeps=crew.leads)
        crew.let_helpers_go()
        self.device = replace(self.device, crew=replace(crew, shards=False))
        self._open()
        self.model.load_state_dict(weights)

    def parameters(self) -> list[torch.nn.Parameter]:
        """Give what is trained."""
        return [parameter for layer in self.layers[self.frozen :] for parameter in layer.parameters()]

    def bare(self) -> BareModel:
        """Give the model as it came."""
        layers = [list(layer.parameters()) for layer in self.layers]
        return BareModel(self.source, self.model, layers, self.tokenizer, self.pad_token, self.device)

    def facts(self) -> dict[str, str | int]:
        """Say which model it is and how it reads, for whoever reads the run later."""
        form = read_form(self.source.folder)
        return {
            **reading_facts(self.source, form, self.max_tokens, self.pooling),
            "model.frozen_layers": self.frozen,
        }

    def run_untrained(self, texts: Sequence[str], cache: Path | None) -> UntrainedOutputs:
        """Run the untrained model over all texts, or read what an earlier run of the same model and texts kept."""
        kept = None if cache is None else cache / f"frozen-{self._cache_key(texts)}.safetensors"
        found = None if kept is None else read_kept(kept)
        crew = self.device.crew
        if crew.shards and not crew.least(int(found is not None)):
            found = None  # whoever runs it needs the others' parts
        if found is not None:
            return found
        # What the frozen layers give never changes, and is most of what a fit would compute: once for all epochs.
        hidden = self._run_frozen(texts)
        beginning = UntrainedOutputs(hidden, self.encode_all(hidden))
        if kept is not None and self.device.crew.leads:
            keep_outputs(beginning, kept)
        return beginning

    def encode(self, hidden: Hidden, texts: Tensor, parts: int = 1) -> Tensor:
        """Give the (B, D) vectors of some texts, with gradients for the trained layers.

        In several *parts*, and of a large model always, the layers keep nothing for the way back and run once more
        on it, a few texts at a time: each pair of a batch is a negative of the others, and only so are all in one loss
        (Gao et al. 2021).
        """
        lengths = hidden.starts[texts + 1] - hidden.starts[texts]
        order = torch.argsort(lengths, stable=True)
        crew = self.device.crew
        again = (self.runs_again or parts > 1) and not crew.shards
        run = self._run_again if again else self._run_trained
        # Nothing is padding where texts stand end to end: then all of them share their matrices.
        one = self.packed is not None and not again
        wanted = 1 if one else LENGTH_GROUPS * max(1, parts // 2)
        # Of a model that is cut all have to run as many.
        groups = order.tensor_split(min(wanted, crew.least(len(order)))) if crew.shards else order.chunk(wanted)
        back = self.device.put(torch.argsort(order))
        return torch.cat([run(hidden, texts[group]) for group in groups])[back]

    def encode_all(self, hidden: Hidden) -> Tensor:
        """Give the vectors of all texts, without gradients."""
        return self.encode_some(hidden, torch.arange(len(hidden)))

    def encode_some(self, hidden: Hidden, texts: Tensor) -> Tensor:
        """Give the vectors of some texts, without gradients, where the processor has them."""
        order = torch.argsort(hidden.starts[texts + 1] - hidden.starts[texts], stable=True)
        tokens = int((hidden.starts[texts + 1] - hidden.starts[texts]).sum())
        with torch.no_grad(), nullcontext() if self.packed is None else self.packed.at_rest(tokens):
            parts = [self._run_trained(hidden, texts[part]).cpu() for part in torch.split(order, TEXTS_AT_A_TIME)]
        return torch.cat(parts)[torch.argsort(order)]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of texts that were not seen before."""
        # Some at a time: what the layers below give of a token is as large as a text's vector.
        parts = [texts[start : start + TEXTS_KEPT] for start in range(0, len(texts), TEXTS_KEPT)]
        return torch.cat([self.encode_all(self._run_frozen(part)) for part in parts])

    def embed_queries(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of queries, which are texts as others are."""
        return self.embed(texts)

    def read_states(self, text: str) -> Tensor:
        """Give the (T, D) last states of one text, a token each."""
        kept, mask_BT = self._run_frozen([text]).pad(torch.zeros(1, dtype=torch.long))
        with torch.no_grad(), self.device.autocast():
            state_BTD = self.stack.above(self.device.put(kept), self.device.put(mask_BT), self.frozen)
        return state_BTD[0].float().cpu()

    @property
    def kept(self) -> int:
        """Give how many numbers of four bytes are kept of a token."""
        return self.stack.kept

    def read_vectors(self, texts: Sequence[str], cache: Path | None, queries: int = 0) -> Tensor:  # noqa: ARG002 - read alike
        """Give the vectors of texts that nothing is trained on: what they came from is kept in the cache alone."""
        return self.embed(texts) if cache is None else self.run_untrained(texts, cache).vectors_ED

    def keep(self, texts: Sequence[str]) -> tuple[int, int]:
        """Give how many numbers a vector has, and how many tokens a text has, told from some."""
        some = [texts[place] for place in np.unique(np.linspace(0, len(texts) - 1, LOOKED_AT).astype(int)).tolist()]
        lengths = [len(encoding) for encoding in encodings_of(self.tokenizer, some)]
        return int(self.model.config.hidden_size), max(1, round(float(np.mean(lengths))))

    def save(self, folder: Path) -> None:
        """Write a folder that this class, transformers and sentence encoders of the same kind read."""
        folder.mkdir(parents=True, exist_ok=True)
        self.stack.save(folder)
        write_sentence_folder(folder, self.pooling, int(self.model.config.hidden_size), self.max_tokens)

    def megabytes(self) -> float:
        """Give the size of the weights as saved, 1 MB = 10^6 bytes."""
        tensors = self.model.state_dict().values()
        return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 1e6

    def _cache_key(self, texts: Sequence[str]) -> str:
        settings = f"{self.source.digest} {self.frozen} {self.max_tokens}"
        settings += "" if self.pooling == MEAN else f" {self.pooling}"
        settings += " tokens" if self.whole else ""
        # The source is what was read from disk: what an earlier fit kept of its frozen layers is not what these give.
        settings += "" if self.adapted is None else f" {self.adapted.digest}"
        settings += "" if self.device.precision == FP32 else f" {self.device.precision}"
        return hashlib.sha256("\x1e".join((settings, *texts)).encode()).hexdigest()[:24]

    def _run_frozen(self, texts: Sequence[str]) -> Hidden:
        tokens = [ids_of(encoding, self.pad_token) for encoding in encodings_of(self.tokenizer, texts)]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
        order = torch.from_numpy(np.argsort(lengths, kind="stable"))
        packed_PD: Tensor | None = None
        ready = nullcontext() if self.packed is None else self.packed.at_rest(int(lengths.sum()) * self.frozen)
        with torch.no_grad(), ready:
            for part in reversed(torch.split(order, TEXTS_AT_A_TIME)):  # as CrossEncoder.score_all, the longest first
                kept_PD = self._run_below([tokens[text] for text in part.tolist()])
                if packed_PD is None:
                    packed_PD = kept_PD.new_empty((int(starts[-1]), *kept_PD.shape[1:]))
                packed_PD[torch.from_numpy(places_of(starts[part].numpy(), lengths[part]))] = kept_PD
        assert packed_PD is not None  # no task has no texts
        return Hidden(packed_PD, starts)

    def _run_below(self, tokens: Sequence[npt.NDArray[np.int64]]) -> Tensor:
        """Give what is kept of some texts, from the shortest to the longest, end to end."""
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        if self.packed is not None:
            spans = spans_of(lengths)
            return self.packed.run(
                self.packed.embed(torch.from_numpy(np.concatenate(tokens)), spans), spans, 0, self.frozen
            )
        rows = [torch.from_numpy(ids) for ids in tokens]
        ids_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad_token)
        mask_BT = torch.arange(ids_BT.shape[1])[None] < torch.from_numpy(lengths)[:, None]
        with self.device.autocast():
            kept = self.stack.below(self.device.put(ids_BT), self.device.put(mask_BT), self.frozen).cpu()
        return kept[mask_BT]

    def _run_again(self, hidden: Hidden, texts: Tensor) -> Tensor:
        found: Tensor = checkpoint(self._run_trained, hidden, texts, use_reentrant=False, preserve_rng_state=False)
        return found

    def _run_trained(self, hidden: Hidden, texts: Tensor) -> Tensor:
        """Give the vectors of some texts, from the shortest to the longest."""
        if self.packed is not None:
            kept_PD, spans = hidden.pack(texts)
            return self.packed.pooled(kept_PD, spans, self.pooling, self.frozen)
        kept, mask_BT = (self.device.put(one) for one in hidden.pad(texts))
        with self.device.autocast():
            state_BTD = self.stack.above(kept, mask_BT, self.frozen)
        # In single precision from here on: sums over tokens, cosines and losses.
        return pool(state_BTD.float(), mask_BT, self.pooling)
