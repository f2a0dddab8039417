"""The order in which a layer's inputs can be spared, if its other weights make up for each that goes.

Of y = W x with H = E[x x'], leaving out the inputs B and solving the other weights anew raises the mean squared error
by tr(W_B (H^-1_BB)^-1 W_B'); W and H^-1 of what is left follow. Hassibi and Stork, Optimal Brain Surgeon, 1993; for
units as in Kurtic et al., ZipLM, 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# What goes later is never cheaper, so that units sorted by their errors are in the order of their going.
LATER = 1e-9


@dataclass
class Reader:
    """A layer's `weight` (outputs, inputs), the `inverse` of H, and which inputs each unit gives it: `columns` (units,
    inputs of one). Both tensors change as units go."""

    weight: Tensor
    inverse: Tensor
    columns: Tensor

    @classmethod
    def of(cls, weight: Tensor, gram: Tensor, columns: Tensor) -> "Reader":
        """With errors in fractions of E|y|^2. `gram` is H, with a ridge."""
        power = ((weight @ gram) * weight).sum().clamp_min(torch.finfo(gram.dtype).tiny)
        return cls(weight / power.sqrt(), torch.linalg.inv(gram), columns)

    def rises(self, units: Tensor) -> Tensor:
        """(units,): how much the error rises if one of them goes."""
        columns = self.columns[units]
        blocks = torch.linalg.inv(self.inverse[columns[:, :, None], columns[:, None, :]])
        weights = self.weight[:, columns].transpose(0, 1)
        rises: Tensor = ((weights @ blocks) * weights).sum((1, 2))
        return rises

    def remove(self, unit: int) -> None:
        columns = self.columns[unit]
        rows = self.inverse[columns]
        solved = torch.linalg.solve(rows[:, columns], rows)
        self.weight.addmm_(self.weight[:, columns], solved, alpha=-1)
        self.inverse.addmm_(rows.T.clone(), solved, alpha=-1)


def errors_of_elimination(readers: Sequence[Reader]) -> Tensor:
    """(units,): the largest rise of all readers' errors together, in fractions, up to where the unit goes, always that
    next whose going raises them least. Of units that can stand in for each other, one alone is cheap."""
    left = torch.arange(len(readers[0].columns))
    errors, largest = torch.zeros(len(left), dtype=torch.float64), 0.0
    while len(left):
        rises = torch.stack([reader.rises(left) for reader in readers]).sum(0)
        position = int(rises.argmin())
        unit, largest = int(left[position]), max(largest * (1 + LATER), float(rises[position]))
        errors[unit] = largest
        left = torch.cat([left[:position], left[position + 1 :]])
        for reader in readers:
            reader.remove(unit)
    return errors
