"""Which numeric variant of the encoder this CPU runs best, and gives the same vector for the same text in any batch."""

from enum import StrEnum
from pathlib import Path

INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


class Variant(StrEnum):
    """The name is part of the key of every cached vector: two variants never share one."""

    INT8 = "int8"  # static, with bf16 between the quantized layers
    BF16 = "bf16"
    FP32 = "fp32"


def best_variant(cpu_flags: set[str]) -> Variant:
    """Return int8 where the CPU has instructions for it and for bf16, else fp32, which every CPU computes alike."""
    if cpu_flags & INT8_FLAGS and cpu_flags & BF16_FLAGS:
        return Variant.INT8
    return Variant.FP32


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return what the first CPU can do; nothing on a system that does not say."""
    if not cpuinfo.is_file():
        return set()
    for line in cpuinfo.read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
