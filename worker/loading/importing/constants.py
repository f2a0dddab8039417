"""What is computed from whole numbers in the archive's code alone, such as the size of a window: computed once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from worker.loading.importing.stored import StoredTensors
from worker.loading.importing.values import Traced, leaves


def constant_answer(
    function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any], stored: StoredTensors
) -> Tensor | None:
    """None where the answer isn't constant, or would take more room than what it is computed from."""
    given = leaves([*arguments, *named.values()])
    tensors = [one for one in given if isinstance(one, Tensor)]
    is_pure = isinstance(function, torch._ops.OpOverload) and not function._schema.is_mutable
    if not is_pure or not tensors or any(isinstance(one, Traced) for one in given):
        return None
    if any(one.is_floating_point() or stored.shares_memory(one) for one in tensors):
        return None
    answer = function(*arguments, **named)
    is_small = isinstance(answer, Tensor) and answer.numel() <= max(one.numel() for one in tensors)
    return answer if is_small and not answer.is_floating_point() else None
