"""What a block is."""

from dataclasses import dataclass
from typing import Literal

from torch import fx

Kind = Literal["residual block", "repeated layer", "recurrent level"]


@dataclass(frozen=True)
class Block:
    """Between `kept` and `exit`, two nodes whose answers have the same shape: without the block, `kept` takes the place
    of `exit`. `layers` are those that would go, by name.

    Of a stacked recurrent layer, `level` is the one that would go, and both nodes are the layer's own.
    """

    kind: Kind
    kept: fx.Node
    exit: fx.Node
    layers: tuple[str, ...]
    level: int | None = None

    @property
    def name(self) -> str:
        """The path that its layers share, or the first one's."""
        if self.level is not None:
            return f"{self.layers[0]}, level {self.level}"
        paths = [layer.split(".") for layer in self.layers]
        shared = [parts[0] for parts in zip(*paths, strict=False) if len(set(parts)) == 1]
        return ".".join(shared) or f"{self.layers[0]} to {self.layers[-1]}"
