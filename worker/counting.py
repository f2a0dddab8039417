"""Multiply-accumulates and output shapes, counted while a network answers one example."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from worker.inputs import random_inputs
from worker.network import Network, layers_of, tensors_in


@dataclass(frozen=True)
class Counts:
    """`macs` in all and by layer; shapes are those of the first output for a batch of one."""

    macs: int
    layer_macs: dict[str, int]
    output_shapes: dict[str, tuple[int, ...]]


def count(network: Network) -> Counts:
    example = random_inputs(network.inputs, 1, seed=0)
    shapes: dict[str, tuple[int, ...]] = {}
    counter = FlopCounterMode(display=False)
    with _frozen(network.module), _recorded_shapes(network.module, shapes), _countable_kernels(), counter:
        network.run(*example)
    by_layer = {path.partition(".")[2]: sum(of.values()) // 2 for path, of in counter.get_flop_counts().items()}
    return Counts(counter.get_total_flops() // 2, by_layer, shapes)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """A view of a parameter, such as a learned first state, asks for a gradient in inference too: the counter would
    follow it, in vain."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _countable_kernels() -> Iterator[None]:
    """Fused recurrent and attention kernels have no formula in the counter; the matrix products inside them have."""
    before, *_ = torch.backends.mkldnn.set_flags(_enabled=False, _fp32_precision=None)  # type: ignore[no-untyped-call]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before, _fp32_precision=None)  # type: ignore[no-untyped-call]


@contextmanager
def _recorded_shapes(module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> Iterator[None]:
    def recorder(name: str) -> Any:
        def record(_layer: nn.Module, _inputs: Any, answer: Any) -> None:
            shapes[name] = _shape(answer)

        return record

    hooks = [layer.register_forward_hook(recorder(name)) for name, layer in layers_of(module).items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _shape(answer: Tensor | tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(tensors_in(answer)[0].shape)
