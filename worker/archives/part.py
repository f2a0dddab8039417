"""A submodule of an archive whose layers can be edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Part:
    """`calls` has what the archive calls its forward with, by the batch size of the whole: tensors, also in tuples,
    lists and dicts, and values that stay what they are.

    `module` takes the tensors in order. `method` is the forward that is called: torch's recurrent layers have several.
    """

    path: str
    module: fx.GraphModule
    calls: Mapping[int, Arguments]
    method: str = "forward"

    def examples(self, batch: int) -> tuple[Tensor, ...]:
        return tuple(one for one in tree_leaves(self.calls[batch]) if isinstance(one, Tensor))
