"""Which instructions of a CPU a file wants, and what becomes of it without them."""

from dataclasses import dataclass
from typing import Literal

Arithmetic = Literal["int8", "bfloat16"]


@dataclass(frozen=True)
class Instructions:
    """Any one of `names` does; they are those of /proc/cpuinfo, on x86 and on ARM."""

    names: tuple[str, ...]
    without: str


WANTED: dict[Arithmetic, Instructions] = {
    "int8": Instructions(
        ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"),
        "Without them it still runs, but slower, and sums of products may overflow, which changes answers.",
    ),
    "bfloat16": Instructions(
        ("avx512_bf16", "amx_bf16", "bf16"),
        "Without them OpenVINO computes in float32, and its answers differ in the third digit; torch takes several "
        "times as long.",
    ),
}


def said_of(arithmetic: Arithmetic) -> str:
    """For people."""
    wanted = WANTED[arithmetic]
    return f"Computes in {arithmetic}, for which a CPU should have one of {', '.join(wanted.names)}. {wanted.without}"
