"""A graph that `compress` wrote, run by onnxruntime: tokens in, numbers out."""

# Shape suffixes, scoped to this file:
#   B = texts or pairs, T = tokens of the longest, C = numbers that come out

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.errors import ModelError
from trainer.models.model_form import GRAPH, ModelForm
from trainer.models.processor import saturates
from trainer.models.token_batches import cut_by_tokens
from trainer.tracking.progress import say

Numbers = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

IDS, MASK, TYPES, OUT = "ids", "mask", "types", "out"
EXTRA = "runherald[compress]"  # what installs onnxruntime
TOKENS_A_THREAD = 128  # of one run: of more, rows are longer than their texts, and states leave the caches
SLOW = "SkipLayerNormFusion"  # a sum and its norm in one loop: int8 is a quarter quicker where they are apart


def batches_of(lengths: Ints) -> list[Ints]:
    """Give the places of texts, the shortest first, in runs that a graph is quick with."""
    import torch

    order = np.argsort(lengths, kind="stable")
    return cut_by_tokens(order, lengths[order], TOKENS_A_THREAD * torch.get_num_threads())


class OnnxGraph:
    """One session; its threads are as many as torch has."""

    def __init__(self, folder: Path, form: ModelForm) -> None:
        self.path = folder / GRAPH
        if form.numbers == "int8" and not form.reduced_range and saturates():
            say(
                f"trainer: warning: {self.path}: int8 weights of the whole range, and this processor's sums saturate:"
                " compress the model here, and its answers are as they were measured"
            )
        self.session = open_session(self.path)
        self.inputs = frozenset(one.name for one in self.session.get_inputs())
        if not {IDS, MASK} <= self.inputs <= {IDS, MASK, TYPES}:
            raise ModelError(f"{self.path}: takes {', '.join(sorted(self.inputs))}: not a graph that compress wrote")

    def run(self, ids_BT: Ints, mask_BT: npt.NDArray[np.bool_], types_BT: Ints | None = None) -> Numbers:
        """Give the (B, C) numbers of some rows of tokens."""
        given = {IDS: ids_BT, MASK: mask_BT.astype(np.int64)}
        if TYPES in self.inputs:
            given[TYPES] = np.zeros_like(ids_BT) if types_BT is None else types_BT
        (out_BC,) = self.session.run([OUT], given)
        return np.asarray(out_BC, dtype=np.float32)


def open_session(path: Path) -> Any:
    """Open a graph; raise ModelError where it is none, or onnxruntime is not installed."""
    import torch

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import: this program reports to nobody
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(f"{path}: needs the package onnxruntime, which is not installed: {EXTRA} has it") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    # Threads that wait sleep: spinning takes the core from whoever else runs here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=[SLOW]
        )
    except Exception as error:  # noqa: BLE001 - onnxruntime has an exception of its own for every way a file is wrong
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not a graph that onnxruntime can run: {reason}") from None
