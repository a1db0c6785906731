"""From a tuned model to a graph for onnxruntime, in single precision."""

# Shape suffixes, scoped to this file:
#   B = texts or pairs, T = tokens of the longest, C = numbers that come out

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.compression.first_token import first_states, needs_first_alone
from trainer.errors import ModelError
from trainer.models.backbone import pool, run_backbone
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.model_form import CONFIG, GRAPH, TOKENIZER, Form, ModelForm, copy_files, write_form
from trainer.models.onnx_graph import EXTRA, IDS, MASK, OUT, TYPES, OnnxGraph
from trainer.models.processor import tell_instructions
from trainer.models.text_encoder import TextEncoder

CLOSE = 1e-3  # of the largest number: farther from the model than this a graph is not the model's
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir", "root")


class _TextVectors(torch.nn.Module):
    """One vector a text, as TextEncoder gives it."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.model = encoder.model
        self.stack, self.pooling = [encoder.stack], encoder.pooling  # in a list: no module of its own

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        seen_BT = mask_BT.bool()
        (stack,) = self.stack
        return pool(stack.above(stack.below(ids_BT, seen_BT, 0), seen_BT, 0), seen_BT, self.pooling)


class _PairOutputs(torch.nn.Module):
    """The outputs of a pair, as CrossEncoder gives them."""

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        self.model, self.head, self.pooling = model.model, model.head, model.pooling

    def forward(self, ids_BT: Tensor, mask_BT: Tensor, types_BT: Tensor | None = None) -> Tensor:
        seen_BT = mask_BT.bool()
        if needs_first_alone(self.model, self.pooling):
            return self.head(first_states(self.model, ids_BT, seen_BT, types_BT))  # type: ignore[no-any-return]
        state_BTD = run_backbone(self.model, ids_BT, seen_BT, types_BT)
        return self.head(pool(state_BTD, seen_BT, self.pooling))  # type: ignore[no-any-return]


def export_encoder(encoder: TextEncoder, folder: Path) -> None:
    """Write a folder that OnnxEncoder reads; raise ModelError where the model makes no graph."""
    width, vocabulary = int(encoder.keep([""])[0]), encoder.stack.vocabulary
    form = ModelForm(Form.ONNX, encoder.source.digest, width, vocabulary, instructions=tell_instructions())
    _write(_TextVectors(encoder), encoder.source.folder, form, folder, types=False)


def export_cross_encoder(model: CrossEncoder, folder: Path) -> None:
    """Write a folder that OnnxCrossEncoder reads; raise ModelError where the model makes no graph."""
    vocabulary = int(model.model.get_input_embeddings().num_embeddings)
    outputs, digest = int(model.head.out_features), model.source.digest
    form = ModelForm(Form.ONNX, digest, outputs, vocabulary, instructions=tell_instructions())
    types = int(getattr(model.model.config, "type_vocab_size", 0) or 0) > 1
    _write(_PairOutputs(model), model.source.folder, form, folder, types=types)


def _write(module: torch.nn.Module, source: Path, form: ModelForm, folder: Path, *, types: bool) -> None:
    copy_files(source, folder, (CONFIG, *TOKENIZER))
    # Rows of two lengths, one padded: what is traced has to hold for both.
    ids_BT = torch.tensor([[1, 2, 1, 2, 1], [2, 1, 1, 0, 0]])
    mask_BT = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    given = (ids_BT, mask_BT, torch.zeros_like(ids_BT)) if types else (ids_BT, mask_BT)
    names = [IDS, MASK, TYPES][: len(given)]
    with torch.no_grad():
        wanted_BC = module(*given).numpy()
    with TemporaryDirectory(prefix="trainer-") as scratch:
        path = Path(scratch, GRAPH)  # the exporter leaves files of its own beside it where it fails
        _export(module, given, names, path, source)
        (folder / GRAPH).write_bytes(path.read_bytes())
    write_form(form, folder)
    arrays = [one.numpy() for one in given]
    found_BC = OnnxGraph(folder, form).run(arrays[0], arrays[1].astype(bool), arrays[2] if types else None)
    if not np.abs(found_BC - wanted_BC).max() <= CLOSE * max(1.0, float(np.abs(wanted_BC).max())):
        raise ModelError(f"{source}: its graph gives other numbers than the model: it is not exported")


def _export(module: torch.nn.Module, given: tuple[Tensor, ...], names: list[str], path: Path, source: Path) -> None:
    rows, tokens = torch.export.Dim("rows", min=1), torch.export.Dim("tokens", min=2)
    # On one example a dimension of one is taken for a constant; both are told to move.
    shapes = tuple({0: rows, 1: tokens} for _ in given)
    with quiet_tools():
        try:
            program: Any = torch.onnx.export(
                module.eval(),
                given,
                input_names=names,
                output_names=[OUT],
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            program.save(path)
        except ImportError as error:
            raise ModelError(f"{source}: to make a graph of it the package {error.name} is needed: {EXTRA}") from None
        except Exception as error:  # noqa: BLE001 - kinds of models fail to be traced each in a way of its own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{source}: makes no graph: {reason}") from None


@contextmanager
def quiet_tools() -> Iterator[None]:
    """Keep what tools say to their developers from who waits for a model."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    before = {name: logging.getLogger(name if name != "root" else None).level for name in CHATTY}
    for name in CHATTY:
        logging.getLogger(name if name != "root" else None).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name if name != "root" else None).setLevel(level)
