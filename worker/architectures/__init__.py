"""Known networks for state dicts: one file for each source of an architecture."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch

from torch import Tensor, nn

from app.core.schemas import Schema


@dataclass(frozen=True)
class Material:
    """What a network is made of: the file's weights by name, and the network that the architecture names."""

    weights: Mapping[str, Tensor]
    base: nn.Module | None = None


@singledispatch
def build(architecture: Schema, material: Material) -> nn.Module:
    """The described network, holding the weights, in evaluation mode.

    Raises Invalid: `architecture_malformed` where it can't be built, `weights_do_not_fit` with the keys where a weight
    has no place or a place no weight.
    """
    raise NotImplementedError(f"no builder is registered for {type(architecture).__name__}")


@singledispatch
def untrained(architecture: Schema) -> nn.Module:
    """The described network with random weights, drawn as its library draws them from torch's generator.

    Raises Invalid `architecture_malformed` where it can't be built.
    """
    raise NotImplementedError(f"no builder is registered for {type(architecture).__name__}")
