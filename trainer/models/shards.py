"""A model of which each process of a crew holds a part: fully sharded (Zhao et al. 2023), as torch's FSDP2 does it.

A layer's weights are fetched from all processes when it runs and let go of behind it; each process keeps its part of
them, of their gradients and of Adam's moments.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

if TYPE_CHECKING:
    from trainer.models.crew import Crew
    from trainer.models.device import Device


def cut_model(model: Any, layers: Sequence[Any], device: "Device") -> None:
    """Leave this process its part of a model, which it moves to the device layer by layer; all have to come here.

    The model's own call fetches what it needs, as do its layers' within it; parts of it are not to be called by hand.
    """
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    from trainer.models.device import HALVES

    mesh = DeviceMesh(device.kind, torch.arange(device.crew.size))
    # Fetched in half precision where that is computed in; added up in single. What layers are given stays as it is.
    policy = MixedPrecisionPolicy(HALVES.get(device.precision), torch.float32, cast_forward_inputs=False)
    for one in (*layers, model):
        # Also the model's own weights behind it: kept there, they would be older than the next step's.
        fully_shard(one, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    for one in model.modules():
        if isinstance(one, FSDPModule):  # the sum over processes, not the mean: each computes its share of a loss
            one.set_gradient_divide_factor(1.0)
            one.set_force_sum_reduction_for_comms(enable=True)


def is_cut(tensor: Tensor) -> bool:
    """Say whether it is a part that this process holds of a larger one."""
    return hasattr(tensor, "full_tensor")  # its class is of a module that costs whoever cuts nothing a second


def own_part(tensor: Tensor) -> Tensor:
    """Give what this process holds of a tensor, cut or not."""
    return tensor.to_local() if is_cut(tensor) else tensor  # type: ignore[attr-defined]


def gather(tensors: Mapping[str, Tensor], *, keeps: bool) -> dict[str, Tensor]:
    """Give whole tensors to whoever *keeps* them, on the processor; all processes have to ask, in the same order."""
    found = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor().detach().cpu() if is_cut(tensor) else tensor  # type: ignore[attr-defined]
        if keeps:
            found[name] = whole
    return found


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Give this process's part of a whole tensor, cut as another one is; the whole where that is not cut."""
    if not is_cut(like):
        return whole
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    placed = whole.to(like.device)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)  # each has the whole of it


def clip_norm(parameters: Sequence[Tensor], most: float, crew: "Crew") -> Tensor:
    """Cut the norm of all gradients at *most*, as torch's clip_grad_norm_ does of whole ones, and give it."""
    gradients = [one.grad for one in parameters if one.grad is not None]
    cut = [own_part(one) for one in gradients if is_cut(one)]
    whole = [one for one in gradients if not is_cut(one)]
    squares = [torch.zeros((), device=gradients[0].device) for _ in range(2)] if gradients else [torch.zeros(())] * 2
    for place, some in enumerate((cut, whole)):
        for one in some:
            squares[place] += torch.linalg.vector_norm(one).square()
    norm = (crew.sum_up(squares[0]) + squares[1]).sqrt()
    share = torch.clamp(most / (norm + 1e-6), max=1.0)
    for one in (*cut, *whole):
        one.mul_(share)
    return norm


def tells_of_loss(error: BaseException) -> bool:
    """Say whether it is what torch's own talk between processes raises when one of them is gone."""
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in ("gloo", "nccl"))
