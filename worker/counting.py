"""Multiply-accumulates and output shapes, counted while a network answers one example."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from worker.archives.part import Part
from worker.inputs import random_inputs
from worker.kernels import without_fused_kernels
from worker.network import Network, layers_of, tensors_in


@dataclass(frozen=True)
class Counts:
    """`macs` in all and by layer; shapes are those of the first output for a batch of one."""

    macs: int
    layer_macs: dict[str, int]
    output_shapes: dict[str, tuple[int, ...]]


def count(network: Network) -> Counts:
    example = random_inputs(network.inputs, 1, seed=0)
    whole = _counted(network.module, "", lambda: network.run(*example))
    if not network.keeps_its_forward:
        return whole
    parts = [_count_part(part) for part in network.parts]
    by_layer = {name: macs for part in parts for name, macs in part.layer_macs.items()}
    return Counts(whole.macs, by_layer, {name: shape for part in parts for name, shape in part.output_shapes.items()})


def _count_part(part: Part) -> Counts:
    with torch.inference_mode():
        return _counted(part.module, part.path, lambda: part.module(*part.examples(1)))


def _counted(module: nn.Module, path: str, run: Callable[[], object]) -> Counts:
    """`path` stands before the names of the module's layers."""
    shapes: dict[str, tuple[int, ...]] = {}
    counter = FlopCounterMode(display=False)
    # A fused kernel has no formula in the counter; the matrix products inside it have.
    with _frozen(module), _recorded_shapes(module, shapes), without_fused_kernels(), counter:
        run()
    by_layer = {name.partition(".")[2]: sum(of.values()) // 2 for name, of in counter.get_flop_counts().items()}
    prefix = f"{path}." if path else ""
    return Counts(
        counter.get_total_flops() // 2,
        {f"{prefix}{name}": macs for name, macs in by_layer.items()},
        {f"{prefix}{name}": shape for name, shape in shapes.items()},
    )


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
def _recorded_shapes(module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> Iterator[None]:
    def recorder(name: str) -> Any:
        def record(_layer: nn.Module, _inputs: Any, answer: Any) -> None:
            if not isinstance(answer, float):  # a setting of what comes after
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
