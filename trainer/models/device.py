"""On what a job computes, and in which precision: chosen by what the chips really do."""

import ctypes
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from shutil import which
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from trainer.errors import JobError
from trainer.models.crew import ALONE, Crew

if TYPE_CHECKING:
    from trainer.jobs.running import DeviceJob

CPU, CUDA, MPS, AUTO = "cpu", "cuda", "mps", "auto"
FP32, BF16, FP16 = "fp32", "bf16", "fp16"
HALVES = {BF16: torch.bfloat16, FP16: torch.float16}
AMPERE = (8, 0)  # the first that multiplies in bf16; older ones emulate it
Compiling = Literal["auto"] | bool
COMPILERS = ("c++", "g++", "clang++")
SPOKEN = {CPU: "the processor", CUDA: "CUDA", MPS: "Apple's GPU"}


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
KEPT = 512 << 20  # bytes that the heap may hold free
MAPPED_FROM = 32 << 20  # bytes: the most that glibc takes


@dataclass(frozen=True, slots=True)
class Chips:
    """What a machine has to compute on."""

    cuda: tuple[int, int] | None = None  # compute capability
    cuda_name: str = ""
    mps: bool = False
    compiles: bool = False  # torch has what it writes kernels with: Triton for CUDA, else a compiler of C++
    cpu_bf16: bool = False  # the processor multiplies in bf16 (AMX, AVX512-BF16); others emulate it, nine times slower


@dataclass(frozen=True, slots=True)
class Device:
    """What a job computes on."""

    kind: str = CPU
    precision: str = FP32
    name: str = ""
    crew: Crew = ALONE  # each of whom has such a one
    compiles: bool = False  # layers that are trained become kernels of their own

    def tell(self) -> str:
        """Say it in a line."""
        named = f" ({self.name})" if self.name else ""
        parted = " that hold a part of the model each" if self.crew.shards else ""
        many = "" if self.crew.is_alone else f", in {self.crew.size} processes{parted}"
        how = ", its layers compiled" if self.compiles else ""
        return f"computes on {SPOKEN[self.kind]}{named} in {self.precision}{how}{many}"

    def facts(self) -> dict[str, str]:
        """Give it as the run's params do."""
        many = {} if self.crew.is_alone else {"device.processes": str(self.crew.size)}
        parted = {"device.sharded": "true"} if self.crew.shards else {}
        compiled = {"device.compiled": "true"} if self.compiles else {}
        return {"device.kind": self.kind, "device.precision": self.precision, **compiled, **many, **parted}

    def put(self, tensor: Tensor) -> Tensor:
        """Give a tensor on the device; a copy to CUDA goes on while the processor does."""
        if self.kind == CPU:
            return tensor
        if self.kind == CUDA and tensor.device.type == CPU:
            return tensor.pin_memory().to(CUDA, non_blocking=True)
        return tensor.to(self.kind)

    def autocast(self) -> AbstractContextManager[object]:
        """Let matrices be multiplied in half precision within the block, where the job computes so."""
        if self.precision == FP32:
            return nullcontext()
        return torch.autocast(self.kind, HALVES[self.precision])

    def compile(self, layers: Sequence[torch.nn.Module]) -> None:
        """Let layers be kernels of their own from their next run on, where the job computes so; they are as they were.

        Layer by layer, since one is compiled for all that are alike, and for any length of text.
        """
        if self.compiles:
            for layer in layers:
                layer.compile(dynamic=True, backend=BACKEND)

    @property
    def fuses(self) -> bool:
        """Say whether Adam's step is one kernel there."""
        return self.kind in (CPU, CUDA)  # on two cores a quarter of the time of one operation after the other

    @property
    def prefetches(self) -> bool:
        """Say whether a thread puts the next batch together: on processors it would take what learns this one."""
        return self.kind == CUDA

    @property
    def scales(self) -> bool:
        """Say whether gradients have to be scaled: small ones are nought in fp16."""
        return self.precision == FP16


PROCESSOR = Device()
BACKEND = "inductor"


def look_at_chips() -> Chips:
    """Ask torch what there is."""
    found = torch.cuda.is_available()
    able = torch.utils._triton.has_triton() if found else any(map(which, COMPILERS))  # noqa: SLF001 - no other way
    return Chips(
        cuda=torch.cuda.get_device_capability() if found else None,
        cuda_name=torch.cuda.get_device_name() if found else "",
        compiles=able,
        mps=torch.backends.mps.is_available(),
        cpu_bf16=torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported(),  # noqa: SLF001 - no other way
    )


def choose_device(kind: str, precision: str, chips: Chips, compiles: Compiling = "auto") -> Device:
    """Choose what the job leaves open; raise JobError for what is not there."""
    there = {CPU: True, CUDA: chips.cuda is not None, MPS: chips.mps}
    if kind != AUTO and not there[kind]:
        others = ", ".join(name for name, is_there in there.items() if is_there)
        raise JobError(f'device.kind = "{kind}": torch finds none on this machine; it has {others}')
    chosen = kind if kind != AUTO else CUDA if there[CUDA] else MPS if there[MPS] else CPU
    able = _precisions(chosen, chips)
    if precision not in (AUTO, *able):
        raise JobError(
            f'device.precision = "{precision}": {SPOKEN[chosen]} does not compute in it{_why(chosen, precision)};'
            f" {' or '.join(able)} is right"
        )
    if compiles is True and not chips.compiles:
        means = "Triton" if chosen == CUDA else f"one of {', '.join(COMPILERS)}"
        right = '"auto" or false is right'
        raise JobError(f"device.compile = true: torch compiles with {means}, which is not here; {right}")
    # On processors single precision: whatever the processor, a job then has the numbers that it had elsewhere.
    best = {CPU: FP32, MPS: FP32, CUDA: BF16 if BF16 in able else FP16}[chosen]
    used = best if precision == AUTO else precision
    # Elsewhere than on CUDA compiling costs a minute and wins little.
    compiled = chosen == CUDA and chips.compiles if compiles == AUTO else bool(compiles)
    return Device(chosen, used, chips.cuda_name if chosen == CUDA else "", compiles=compiled)


def _precisions(kind: str, chips: Chips) -> tuple[str, ...]:
    match kind:
        case "cuda":
            return (FP32, BF16, FP16) if (chips.cuda or (0, 0)) >= AMPERE else (FP32, FP16)
        case "mps":
            return (FP32, FP16)
        case _:
            return (FP32, BF16) if chips.cpu_bf16 else (FP32,)


def _why(kind: str, precision: str) -> str:
    return " but emulates it, many times slower" if precision == BF16 and kind != MPS else ""


def keep_freed_memory() -> None:
    """Let glibc keep what a step gave back for the next one, which asks for the same: pages anew cost a twentieth."""
    if sys.platform != "linux":
        return
    # Other C libraries have no such call; where it refuses, all is as it was.
    if (settle := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        settle(MMAP_THRESHOLD, MAPPED_FROM)
        settle(TRIM_THRESHOLD, KEPT)


def prepare_device(job: "DeviceJob") -> Device:
    """Choose a job's device and set torch for it; raise JobError for one that is not there."""
    device = choose_device(job.kind, job.precision, look_at_chips(), job.compile)
    if device.compiles and job.compile == AUTO:
        torch._dynamo.config.suppress_errors = True  # noqa: SLF001 - what cannot be compiled runs as it is
    if device.kind == CPU:
        keep_freed_memory()
    if device.kind != CUDA:
        # The same numbers each time. On CUDA it would refuse what has no such way, and want variables of the process.
        torch.use_deterministic_algorithms(mode=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it
    else:
        # What is left in single precision: with 10 bits behind the point where the job computes in half anyway.
        torch.set_float32_matmul_precision("highest" if device.precision == FP32 else "high")
    return device
