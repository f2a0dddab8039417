"""Is a pruned network what it should be?"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, fx

from worker.network import tensors_in

# Relative to the largest answer. Convolutions of other widths add in another order.
TOLERANCE = 1e-3


def answers_alike(pruned: fx.GraphModule, original: fx.GraphModule, examples: Mapping[int, Sequence[Tensor]]) -> bool:
    """Whether it runs at every batch size, and its answers have the original's shapes and are finite where they are."""
    for inputs in examples.values():
        with torch.no_grad():
            expected = tensors_in(original(*inputs))
            found = tensors_in(pruned(*inputs))
        for one, other in zip(found, expected, strict=True):
            if one.shape != other.shape or bool((other.isfinite() & ~one.isfinite()).any()):
                return False
    return True


def answers_equal(pruned: fx.GraphModule, masked: fx.GraphModule, examples: Mapping[int, Sequence[Tensor]]) -> bool:
    """Whether it answers as the network in which the removed weights are zero."""
    for inputs in examples.values():
        with torch.no_grad():
            expected = tensors_in(masked(*inputs))
            found = tensors_in(pruned(*inputs))
        for one, other in zip(found, expected, strict=True):
            allowed = TOLERANCE * max(1e-6, float(other.abs().amax().nan_to_num()) if other.numel() else 0.0)
            if not torch.allclose(one.double(), other.double(), rtol=0, atol=allowed, equal_nan=True):
                return False
    return True
