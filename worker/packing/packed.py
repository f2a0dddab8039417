"""The kinds of packing. What unpacks them in a state dict stands in `worker/exporting/load_network.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Cast:
    """Floats of fewer bits."""

    codes: Tensor
    kind: ClassVar[str] = "cast"

    def unpacked(self) -> Tensor:
        return self.codes.float()

    def beside(self) -> Mapping[str, Tensor]:
        """What stands beside the codes, by name."""
        return {}


@dataclass(frozen=True)
class Grouped:
    """Integers of the weight's shape; (code - zero point) * scale, both of which a group of neighbours shares.

    `scale` and `zero_point` have one value for each group: of shape (groups,). Without a zero point it is 0.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor | None
    kind: ClassVar[str] = "grouped"

    def unpacked(self) -> Tensor:
        values = self.codes.float().reshape(len(self.scale), -1)
        if self.zero_point is not None:
            values = values - self.zero_point.float().unsqueeze(1)
        return (values * self.scale.unsqueeze(1)).reshape(self.codes.shape)

    def beside(self) -> Mapping[str, Tensor]:
        zero_point = {} if self.zero_point is None else {"zero_point": self.zero_point}
        return {"scale": self.scale, **zero_point}


Packed = Cast | Grouped
