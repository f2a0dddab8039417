"""Is a pruned network what it should be?"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, fx

from worker.network import tensors_in

# Relative to the largest answer. Convolutions of other widths add in another order.
TOLERANCE = 1e-3


def answers_alike(pruned: fx.GraphModule, original: fx.GraphModule, examples: Mapping[int, Sequence[Tensor]]) -> bool:
    """Whether it runs at every batch size, and its answers have the original's shapes and are finite where they are."""
    return all(
        one.shape == other.shape and not bool((other.isfinite() & ~one.isfinite()).any())
        for one, other in _answers(pruned, original, examples)
    )


def answers_equal(pruned: fx.GraphModule, masked: fx.GraphModule, examples: Mapping[int, Sequence[Tensor]]) -> bool:
    """Whether it answers as the network in which the removed weights are zero."""
    return all(_equal(one, other) for one, other in _answers(pruned, masked, examples))


def _answers(
    pruned: fx.GraphModule, reference: fx.GraphModule, examples: Mapping[int, Sequence[Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Both networks' answers, one output beside the other."""
    for inputs in examples.values():
        with torch.no_grad():
            expected = tensors_in(reference(*inputs))
            found = tensors_in(pruned(*inputs))
        yield from zip(found, expected, strict=True)


def _equal(one: Tensor, other: Tensor) -> bool:
    allowed = TOLERANCE * max(1e-6, float(other.abs().amax().nan_to_num()) if other.numel() else 0.0)
    return torch.allclose(one.double(), other.double(), rtol=0, atol=allowed, equal_nan=True)
