"""What a layer with a low-rank adapter multiplies by: its frozen weight and the adapter's product (Hu et al. 2021)."""

from typing import Any

from torch import Tensor


def bare_model(model: Any) -> Any:
    """Give the model that adapters were put into; a model without any is its own."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def adds_up(layer: Any) -> bool:
    """Say whether all adapters within a layer are a plain product, the same for each token, that adds to the weight."""
    return all(_is_plain(module) for module in layer.modules() if hasattr(module, "base_layer"))


def _is_plain(module: Any) -> bool:
    if not hasattr(module, "lora_A") or module.merged or len(module.active_adapters) != 1:
        return False
    name = module.active_adapters[0]
    drops = getattr(module.lora_dropout[name], "p", 0.0)
    return not (drops or module.lora_variant or module.lora_bias.get(name) or module.fan_in_fan_out)


def effective_weight(module: Any) -> Tensor:
    """Give the weight of a linear layer, an adapter's share with its gradients added to it."""
    if not hasattr(module, "lora_A"):
        return module.weight  # type: ignore[no-any-return]
    name = module.active_adapters[0]
    added: Tensor = module.lora_B[name].weight @ module.lora_A[name].weight
    return module.base_layer.weight + module.scaling[name] * added  # type: ignore[no-any-return]
