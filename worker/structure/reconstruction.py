"""Weights that give what they gave before, from the units that are left: He et al., Channel Pruning for Accelerating
Very Deep Neural Networks, 2017."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from worker.structure.analysis import Structure
from worker.structure.removal import kept_indices


@dataclass(frozen=True)
class InputGrams:
    """By weight name E[x x'] of what it multiplies, of shape (1, in x kernel, in x kernel), over `examples`."""

    matrices: Mapping[str, Tensor]
    examples: int

    def of(self, weight: str) -> Tensor | None:
        """In float64, with the ridge of one more example, of uncorrelated inputs of the same mean square: few examples
        leave many solutions, and it is the weights as they are that are known to be good. None where inputs weren't
        seen, or where a convolution has groups."""
        matrix = self.matrices.get(weight)
        if matrix is None or len(matrix) > 1:
            return None
        gram = matrix[0].double()
        ridge = (gram.diagonal().mean() / self.examples).clamp_min(torch.finfo(torch.float32).tiny)
        return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)


def reconstruct(
    pruned: fx.GraphModule, original: fx.GraphModule, structure: Structure, gone: frozenset[int], grams: InputGrams
) -> None:
    """Solves the weights of `pruned` that lost inputs anew, in place: min E|W x - W' x_kept|^2, with the ridge of
    `grams` on how far W' moves from W. Biases stay. Weights with several owners stay too."""
    for name, weight in _of_one_owner(original):
        gram = grams.of(name)
        if gram is None:
            continue
        rows, inputs = (
            kept_indices(structure, structure.tensors[id(weight)][dim], gone, weight.shape[dim]) for dim in (0, 1)
        )
        if len(inputs) < weight.shape[1]:
            solved = solved_for(weight.detach()[rows], inputs, gram)
            with torch.no_grad():
                pruned.get_parameter(name).copy_(solved)


def solved_for(weight: Tensor, inputs: list[int], gram: Tensor) -> Tensor:
    """`weight` (outputs, inputs, *kernel), of these inputs alone, with what the others said put on them."""
    shape = weight[:, inputs].shape
    columns = columns_of(weight)[inputs].flatten()
    wanted = weight.flatten(1).double() @ gram[:, columns]
    solved: Tensor = torch.linalg.solve(gram[columns][:, columns], wanted.T)
    return solved.T.reshape(shape)


def columns_of(weight: Tensor) -> Tensor:
    """(inputs, places of the kernel): where each input stands in what the weight multiplies."""
    return torch.arange(weight[0].numel()).reshape(weight.shape[1], -1)


def _of_one_owner(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    named = list(module.named_parameters(remove_duplicate=False))
    owners = Counter(id(parameter) for _, parameter in named)
    return ((name, parameter) for name, parameter in named if owners[id(parameter)] == 1)
