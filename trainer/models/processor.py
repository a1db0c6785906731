"""What this processor multiplies int8 with: on some, sums of two products saturate."""

import platform
import re
from pathlib import Path

# The best first: what a kernel takes where several are there.
SETS = (
    ("amx_int8", "AMX"),
    ("avx512_vnni", "AVX-512 VNNI"),
    ("avx_vnni", "AVX-VNNI"),
    ("avx512f", "AVX-512"),
    ("avx2", "AVX2"),
)
EXACT = {"AMX", "AVX-512 VNNI", "AVX-VNNI"}  # these add up in 32 bits
X86 = ("x86_64", "amd64", "i686", "i386")


def tell_instructions(root: Path = Path("/"), machine: str | None = None) -> str:
    """Name the best set of instructions for int8 that the processor has, or its family where none is told."""
    flags = processor_flags(root)
    return next((name for flag, name in SETS if flag in flags), machine or platform.machine() or "unknown")


def saturates(root: Path = Path("/"), machine: str | None = None) -> bool:
    """Say whether int8 weights of the whole range come out wrong here.

    Without VNNI, x86 multiplies unsigned by signed bytes and adds pairs of products in 16 bits (`vpmaddubsw`), which
    saturate: 255 x 127 x 2 is twice what fits. With 7 bits a weight 255 x 64 x 2 fits.
    """
    found = tell_instructions(root, machine)
    return found not in EXACT and (machine or platform.machine()).lower() in X86


def processor_flags(root: Path = Path("/")) -> frozenset[str]:
    """Give what Linux says the processor can do; nothing elsewhere."""
    try:
        told = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^flags\s*:\s*(.+)$", told, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()
