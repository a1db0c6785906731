"""A graph with int8 weights: what the layers hand on is scaled as it comes, or by what samples have shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from trainer.compression.onnx_export import quiet_tools
from trainer.errors import ModelError
from trainer.models.model_form import CONFIG, GRAPH, TOKENIZER, ModelForm, copy_files, write_form
from trainer.models.onnx_graph import EXTRA, IDS, MASK, TYPES
from trainer.models.pair_tokens import Tokens
from trainer.models.processor import saturates, tell_instructions

LAYERS, WORDS = "MatMul", "Gather"  # nearly all of the weights
SHOWN = 512  # texts or pairs that show how large states grow
AT_A_TIME = 32
Sample = Mapping[str, Any]


def quantize(exported: Path, form: ModelForm, folder: Path, *, reduced: bool | None = None) -> None:
    """Write an exported folder anew with int8 weights, a scale a column; activations are scaled as they come.

    With *reduced* they have 7 bits; told by the processor where it is not said: see trainer.models.processor.
    """
    reduced = saturates() if reduced is None else reduced
    copy_files(exported, folder, (CONFIG, *TOKENIZER))
    with quiet_tools():
        _shrink_weights(exported / GRAPH, folder / GRAPH, [LAYERS, WORDS], reduced=reduced)
    _tell(form, folder, "dynamic", reduced=reduced)


def quantize_by_samples(
    exported: Path, form: ModelForm, folder: Path, samples: Iterable[Sample], *, reduced: bool | None = None
) -> None:
    """Write an exported folder anew with int8 weights, and with scales of activations that samples have shown."""
    reduced = saturates() if reduced is None else reduced
    copy_files(exported, folder, (CONFIG, *TOKENIZER))
    with quiet_tools(), TemporaryDirectory(prefix="trainer-") as scratch:
        words = Path(scratch, GRAPH)
        # Words first and apart: a table that is looked up has no state to be scaled by samples.
        _shrink_weights(exported / GRAPH, words, [WORDS], reduced=reduced)
        _scale_layers(words, folder / GRAPH, iter(samples), reduced=reduced)
    _tell(form, folder, "static", reduced=reduced)


def samples_of(tokens: Tokens, pad_token: int, seed: int) -> Iterator[Sample]:
    """Give batches of some texts or pairs, as a graph takes them."""
    rows = np.random.default_rng(seed).permutation(len(tokens))[:SHOWN]
    rows = rows[np.argsort(tokens.lengths[rows], kind="stable")]  # little padding: nobody asks for what it grows to
    for part in np.array_split(rows, max(1, len(rows) // AT_A_TIME)):
        batch = tokens.pad(part, pad_token)
        given = {IDS: batch.ids_BT, MASK: batch.mask_BT.long(), TYPES: batch.types_BT}
        yield {name: tensor.numpy() for name, tensor in given.items()}


def _shrink_weights(source: Path, target: Path, operators: list[str], *, reduced: bool) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ModelError(f"{source.parent}: for int8 the package {error.name} is needed: {EXTRA} has it") from None
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=operators,
        per_channel=True,
        reduce_range=reduced,
        weight_type=QuantType.QInt8,
    )


def _scale_layers(source: Path, target: Path, samples: Iterator[Sample], *, reduced: bool) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    graph = onnx.load(source).graph
    weights, inputs = {one.name for one in graph.initializer}, {one.name for one in graph.input}

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            given = next(samples, None)
            return None if given is None else {name: one for name, one in given.items() if name in inputs}

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[LAYERS],
        # Products of two states have no weights: what is gained on them is less than what is lost.
        nodes_to_exclude=[one.name for one in graph.node if one.op_type == LAYERS and one.input[1] not in weights],
        per_channel=True,
        reduce_range=reduced,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # What comes out of a layer goes on in single precision: to biases, sums and norms.
        extra_options={"OpTypesToExcludeOutputQuantization": [LAYERS]},
    )


def _tell(form: ModelForm, folder: Path, scales: str, *, reduced: bool) -> None:
    told = replace(form, numbers="int8", scales=scales, reduced_range=reduced, instructions=tell_instructions())
    write_form(told, folder)
