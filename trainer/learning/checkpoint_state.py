"""A fit's state as named tensors: given names, looked through before anything is changed, and put back."""

from collections.abc import Mapping, Sequence
from math import isnan, nan

import torch
from torch import Tensor

from trainer.models.shards import part_of
from trainer.task import Standing, StepReport

WEIGHTS, RANDOM, CARRIED, OPTIMIZER = "weight", "random", "carried", "optimizer"
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # of Adam, for each parameter that has been stepped
STEPS, LOSSES, RATES, EXAMPLES, VALID = "told.step", "told.loss", "told.lr", "told.examples", "told.valid_loss"
ADAPTING = "told.adapting"
COLUMNS = {
    STEPS: torch.int64,
    LOSSES: torch.float64,
    RATES: torch.float64,
    EXAMPLES: torch.int64,
    VALID: torch.float64,
    ADAPTING: torch.int64,
}

Carried = Mapping[str, Sequence[Tensor]]


def name_state(standing: Standing, carried: Carried, told: Sequence[StepReport]) -> dict[str, Tensor]:
    """Name all that a fit goes on with."""
    held = standing.optimizer.state_dict()["state"]
    moments = {f"{OPTIMIZER}.{place}.{name}": value for place, state in held.items() for name, value in state.items()}
    return {**_name_weights(standing, carried), **moments, **_name_random(), **_name_reports(told)}


def check_state(standing: Standing, carried: Carried, found: Mapping[str, Tensor]) -> None:
    """Raise ValueError for what is missing or of another shape; nothing is changed."""
    for name, tensor in _name_weights(standing, carried).items():
        _check(found, name, tensor)
    for name, tensor in _name_random().items():
        if name in found or name == f"{RANDOM}.cpu":  # fewer GPUs may have been there
            _check(found, name, tensor)
    for place, moments in _moments(found).items():
        if not 0 <= place < len(standing.parameters) or moments.keys() != MOMENTS:
            raise ValueError(f"{OPTIMIZER}.{place} is none of this model's")
        for name in MOMENTS - {"step"}:
            _check(found, f"{OPTIMIZER}.{place}.{name}", standing.parameters[place])
        if moments["step"].numel() != 1:
            raise ValueError(f"{OPTIMIZER}.{place}.step is no number")


def fill_state(standing: Standing, carried: Carried, found: Mapping[str, Tensor]) -> None:
    """Put back what was named; raise ValueError, nothing being changed, where not all of it is there."""
    check_state(standing, carried, found)
    with torch.no_grad():
        for name, tensor in _name_weights(standing, carried).items():
            tensor.copy_(part_of(found[name], tensor))
    moments = {
        place: {
            name: value if name == "step" else part_of(value, standing.parameters[place])
            for name, value in held.items()
        }
        for place, held in _moments(found).items()
    }
    # Rates are set anew at each step, by the schedule.
    groups = standing.optimizer.state_dict()["param_groups"]
    standing.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    torch.set_rng_state(found[f"{RANDOM}.cpu"])
    for chip in range(torch.cuda.device_count()):
        if (state := found.get(f"{RANDOM}.cuda.{chip}")) is not None:
            torch.cuda.set_rng_state(state, chip)


@torch.no_grad()
def fill_carried(carried: Carried, found: Mapping[str, Tensor]) -> None:
    """Put back what is carried, as `fill_state` does."""
    named = _name_carried(carried)
    for name, tensor in named.items():
        _check(found, name, tensor)
    for name, tensor in named.items():
        tensor.copy_(found[name])


def read_reports(found: Mapping[str, Tensor]) -> list[StepReport]:
    """Give what was told of the steps; raise ValueError where it is not whole."""
    for name, kind in COLUMNS.items():
        if name not in found or found[name].dtype != kind or found[name].dim() != 1:
            raise ValueError(f"{name} is missing or no list of numbers")
    columns = (found[name].tolist() for name in COLUMNS)
    return [
        StepReport(step, loss, lr, examples, None if isnan(seen) else seen, bool(adapting))
        for step, loss, lr, examples, seen, adapting in zip(*columns, strict=True)
    ]


def _check(found: Mapping[str, Tensor], name: str, like: Tensor) -> None:
    if name not in found:
        raise ValueError(f"{name} is missing")
    if (found[name].shape, found[name].dtype) != (like.shape, like.dtype):
        raise ValueError(f"{name} is {tuple(found[name].shape)}, {tuple(like.shape)} is right")


def _name_weights(standing: Standing, carried: Carried) -> dict[str, Tensor]:
    return {**_number(WEIGHTS, standing.parameters), **_name_carried(carried)}


def _name_carried(carried: Carried) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for name, tensors in carried.items():
        named |= _number(f"{CARRIED}.{name}", tensors)
    return named


def _number(prefix: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{place}": tensor for place, tensor in enumerate(tensors)}


def _moments(found: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in found.items():
        kind, _, rest = key.partition(".")
        if kind == OPTIMIZER:
            place, _, name = rest.partition(".")
            state.setdefault(int(place), {})[name] = value
    return state


def _name_random() -> dict[str, Tensor]:
    """Give what dropout of adapters draws from; all else that is drawn comes from the seed before the first step."""
    chips = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {f"{RANDOM}.cpu": torch.get_rng_state(), **_number(f"{RANDOM}.cuda", chips)}


def _name_reports(told: Sequence[StepReport]) -> dict[str, Tensor]:
    values = (
        [one.step for one in told],
        [one.loss for one in told],
        [one.lr for one in told],
        [one.examples for one in told],
        [nan if one.valid_loss is None else one.valid_loss for one in told],
        [int(one.adapting) for one in told],
    )
    return {name: torch.tensor(column, dtype=COLUMNS[name]) for name, column in zip(COLUMNS, values, strict=True)}
