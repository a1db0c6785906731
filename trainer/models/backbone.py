"""A language model as transformers loads it, whatever its kind: its layers, its states, its states as one vector."""

# Shape suffixes, scoped to this file:
#   B = texts, T = tokens of the longest, D = width

from collections.abc import Sequence
from logging import ERROR
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.attention_heads import shape_heads
from trainer.models.model_form import read_form
from trainer.models.source import ModelSource
from trainer.models.weight_checks import check_finite

OF_SHAPES = "ignore_mismatched_sizes"  # in what transformers says of weights that are not as config.json says
UNPACKED = "gguf"  # a folder written from a GGUF file still says so, though its weights are plain
MEAN, FIRST, LAST = "mean", "first", "last"
LARGE = 350_000_000  # weights
RIGHT = "a model of texts such as bert, distilbert, roberta, modernbert, gpt2 or llama is what this reads"


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


def choose_pooling(source: ModelSource, wanted: str, otherwise: str = MEAN) -> str:
    """Give how states become one vector: of a decoder the last token alone has seen the whole text."""
    return wanted if wanted != "auto" else LAST if is_decoder(source) else otherwise


def pool(state_BTD: Tensor, mask_BT: Tensor, pooling: str) -> Tensor:
    """Give one vector a row, of padding nothing: it stands behind a row's tokens, whatever side a tokenizer likes."""
    if pooling == FIRST:
        return state_BTD[:, 0]
    if pooling == LAST:
        return state_BTD[torch.arange(len(state_BTD), device=state_BTD.device), mask_BT.sum(1) - 1]
    weight_BT1 = mask_BT[..., None].to(state_BTD.dtype)
    # The mean of tokens: what encoders of sentences are trained for (Reimers and Gurevych 2019).
    return (state_BTD * weight_BT1).sum(1) / weight_BT1.sum(1)


def load_backbone(source: ModelSource) -> Any:
    """Read the bare model in single precision; raise ModelError where it is none, or not of texts."""
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
        heads = read_form(source.folder).heads
        if heads:
            model = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)  # type: ignore[no-untyped-call]
            shape_heads(layers_of(model), heads, source.folder)
            told = {"missing_keys": model.load_state_dict(_read_all(source), strict=False).missing_keys}
        else:
            model, told = AutoModel.from_pretrained(
                source.folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - a folder may be wrong in every way, and each has its own exception
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        shape = _tell_shape(source) if OF_SHAPES in reason else None  # transformers logs which, where nobody reads it
        raise ModelError(f"{source.folder}: {shape or f'makes no model: {reason}'}") from None
    missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
    if missing:
        raise ModelError(f"{source.folder}: weight '{missing[0]}' is missing")
    check_finite(model.named_parameters(), source.folder)
    # No dropout: one or two passes do not overfit, and runs repeat exactly.
    return model.eval()


def _tell_shape(source: ModelSource) -> str | None:
    """Name a weight whose shape is not what the configuration says; None where there is none."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):  # it may be of any size
        model = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    wanted = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    for path in source.weights:
        with safe_open(path, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                shape, bare = tuple(opened.get_slice(name).get_shape()), name.partition(".")[2]
                right = wanted.get(name, wanted.get(bare, shape))
                if right != shape:
                    return f"weight '{name}' has shape {shape}; config.json says {right}"
    return None


def _read_all(source: ModelSource) -> dict[str, Tensor]:
    return {name: tensor for path in source.weights for name, tensor in load_file(path).items()}


def run_backbone(model: Any, ids_BT: Tensor, mask_BT: Tensor, types_BT: Tensor | None = None) -> Tensor:
    """Give the (B, T, D) states of the last layer; ids at padding have to be the model's token for it."""
    given: dict[str, Tensor] = {"input_ids": ids_BT, "attention_mask": mask_BT.long()}
    if types_BT is not None and int(getattr(model.config, "type_vocab_size", 0) or 0) > 1:
        given["token_type_ids"] = types_BT
    return model(**given).last_hidden_state  # type: ignore[no-any-return]


def measure_width(model: Any, source: ModelSource, pad_token: int) -> int:
    """Try a model with a text, alone and beside a longer one, and give the width of its states.

    Raise ModelError where it is no model of texts, or where it reads a text otherwise for what stands beside it.
    """
    first, second = [token for token in range(3) if token != pad_token][:2]
    short_1T = torch.tensor([[first, second]])
    ids_BT = torch.tensor([[first, second, second, first], [first, second, pad_token, pad_token]])
    mask_BT = torch.tensor([[True] * 4, [True, True, False, False]])
    where = f"{source.folder / 'config.json'}: model_type is {source.kind!r}"
    try:
        with torch.no_grad():
            together_BTD = run_backbone(model, ids_BT, mask_BT)
            alone_BTD = run_backbone(model, short_1T, torch.ones_like(short_1T).bool())
    except Exception as error:  # noqa: BLE001 - models of pictures, of sounds, of two texts: each fails in its own way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{where}, which does not read a text alone ({reason}); {RIGHT}") from None
    if together_BTD.shape[:2] != ids_BT.shape or alone_BTD.shape[:2] != short_1T.shape:
        raise ModelError(f"{where}, which has no state for each token; {RIGHT}")
    difference = (together_BTD[1, :2] - alone_BTD[0]).abs().max()
    if not difference <= 1e-3 * max(1.0, float(alone_BTD.abs().max())):
        raise ModelError(f"{where}, which reads a text otherwise beside a longer one; {RIGHT}")
    return int(alone_BTD.shape[2])


def layers_of(model: Any) -> list[Any]:
    """Find the stack of layers: the longest list of modules that is not part of another, as experts are."""
    return list(layer_list(model))


def layer_list(model: Any) -> torch.nn.ModuleList:
    """Give the model's own list of its layers, see layers_of: what is taken out of it is no part of the model."""
    lists = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    outer = [found for name, found in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    return max(outer, key=len, default=torch.nn.ModuleList())


def trains_in_little_memory(model: Any) -> bool:
    """Say whether the states of a model's layers are too much to keep for the way back."""
    learns = any(parameter.requires_grad for parameter in model.parameters())
    able = bool(getattr(model, "supports_gradient_checkpointing", False))
    return learns and able and sum(parameter.numel() for parameter in model.parameters()) >= LARGE


def keep_no_states(model: Any, layers: Sequence[Any]) -> None:
    """Let each layer run once more on the way back (Chen et al. 2016): a third more work, a fraction of the memory."""
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    model.disable_input_require_grads()  # else the way back would lead through the frozen layers too
    for layer in layers:
        layer.training = True  # what transformers asks; the parts within, dropout among them, stay as they are


def free_layers(model: Any, layers: Sequence[Any], wanted: int | None) -> int:
    """Let the top *wanted* layers learn, or all; embeddings stay: few of their rows are ever seen. Give how many."""
    if wanted is not None and wanted > len(layers):
        raise ModelError(f"train.layers: {wanted} is more than the model's {len(layers)}")
    trained = len(layers) if wanted is None else wanted
    model.requires_grad_(requires_grad=False)
    if wanted is None:
        model.requires_grad_(requires_grad=True)
        model.get_input_embeddings().requires_grad_(requires_grad=False)
    for layer in layers[len(layers) - trained :]:
        layer.requires_grad_(requires_grad=True)
    return trained
