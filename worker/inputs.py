"""Tensors to run a network on: random ones from its input specification, or examples of a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from app.core.inputs import Input, InputSpec, NumberInput

FREE_SIZE = 16


def torch_dtype(name: str) -> torch.dtype:
    """The dtype that a network computes in: half precision is widened, because CPUs have few kernels for it."""
    dtype: torch.dtype = getattr(torch, name)
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def random_inputs(
    inputs: Sequence[InputSpec], batch_size: int, seed: int, *, free_size: int = FREE_SIZE
) -> tuple[Tensor, ...]:
    """One tensor for each input, in order. A free dimension but the batch gets `free_size`, kept in its range."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(_random_tensor(spec, shape_of(spec, batch_size, free_size), generator) for spec in inputs)


def shape_of(spec: InputSpec, batch_size: int, free_size: int = FREE_SIZE) -> tuple[int, ...]:
    rest = (size if isinstance(size, int) else _within(spec, size, free_size) for size in spec.shape[1:])
    return (batch_size, *rest)


def _within(spec: InputSpec, name: str, size: int) -> int:
    smallest, largest = spec.ranges.get(name, (1, size))
    return min(max(size, smallest), largest)


def _random_tensor(spec: InputSpec, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    dtype = torch_dtype(spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    low, high = spec.low or 0, spec.high if spec.high is not None else _largest(dtype)
    return torch.randint(low, max(high, low + 1), shape, generator=generator).to(dtype)


def _largest(dtype: torch.dtype) -> int:
    return {torch.bool: 2, torch.uint8: 256, torch.int8: 128}.get(dtype, 2)


def with_numbers(inputs: Sequence[Input], tensors: Sequence[Tensor]) -> tuple[Tensor | float, ...]:
    """All that a forward takes, in order: the plain numbers put among the tensors."""
    given = iter(tensors)
    return tuple(spec.value if isinstance(spec, NumberInput) else next(given) for spec in inputs)


class WithNumbers(nn.Module):
    """Takes the tensors alone, and answers as `module` does to them and the plain numbers."""

    def __init__(self, module: nn.Module, inputs: Sequence[Input]) -> None:
        super().__init__()
        self._whole, self._inputs = [module], inputs
        self._modules = dict(module.named_children())  # under the names that they have there

    def forward(self, *tensors: Tensor) -> Any:
        return self._whole[0](*with_numbers(self._inputs, tensors))


def as_inputs(inputs: Sequence[InputSpec], arrays: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """A batch of a data set (arrays by input name), in the order and the dtype that the network takes."""
    return tuple(arrays[spec.name].to(torch_dtype(spec.dtype)) for spec in inputs)
