"""What a latency depends on beside the file: the CPU, its instruction sets, threads and library versions."""

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from app.core.instructions import WANTED, Arithmetic
from app.core.measurements import Environment
from app.core.version import VERSION
from worker import openvino_extra

_INSTRUCTION_SETS = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile",
    "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
_PACKAGES = ("torch", "onnxruntime", "onnx", "numpy", "safetensors")


def environment(threads: int) -> Environment:
    return Environment(
        cpu=_cpu_fields().get("model name") or platform.processor() or platform.machine(),
        isa=_instruction_sets(),
        threads=threads,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in (*_PACKAGES, *openvino_extra.installed())},
            "modelpress": VERSION,
        },
    )


def is_computed_here(arithmetic: Arithmetic) -> bool:
    """Whether this CPU has instructions for it."""
    return not set(WANTED[arithmetic].names).isdisjoint(_instruction_sets())


def _instruction_sets() -> tuple[str, ...]:
    cpu = _cpu_fields()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return tuple(name for name in _INSTRUCTION_SETS if name in flags)


@cache
def _cpu_fields() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where that can't be read."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
