"""Weights that give what they gave before, from the units that are left: He et al., Channel Pruning for Accelerating
Very Deep Neural Networks, 2017."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from worker.importance.gram_matrices import InputGram
from worker.structure.analysis import Structure
from worker.structure.removal import kept_indices

GramOf = Callable[[str], Tensor | None]


@dataclass(frozen=True)
class InputGrams:
    """By weight name E[x x'] of what it multiplies, of shape (in x kernel, in x kernel), over `examples`. In float64,
    with a ridge, in multiples of the inputs' mean square. None where inputs weren't seen, or where a convolution has
    groups.
    """

    seen: Mapping[str, InputGram]
    examples: int

    def to_solve(self, weight: str) -> Tensor | None:
        """With the ridge of one more example, of uncorrelated inputs: few examples leave many solutions, and it is the
        weights as they are that are known to be good."""
        return self._with_ridge(weight, lambda _: 1 / self.examples)

    def to_judge(self, weight: str) -> Tensor | None:
        """With a ridge that grows with the inputs for each observation: where there are few, weights can be solved so
        that what was seen hardly changes, whatever goes, and what wasn't seen does."""
        return self._with_ridge(weight, lambda gram: 1 / self.examples + gram.matrix.shape[-1] / gram.observations)

    def _with_ridge(self, weight: str, ridge: Callable[[InputGram], float]) -> Tensor | None:
        gram = self.seen.get(weight)
        if gram is None or len(gram.matrix) > 1:
            return None
        matrix = gram.matrix[0].double()
        size = (ridge(gram) * matrix.diagonal().mean()).clamp_min(torch.finfo(torch.float32).tiny)
        return matrix + size * torch.eye(len(matrix), dtype=matrix.dtype)


def reconstruct(
    pruned: fx.GraphModule, original: fx.GraphModule, structure: Structure, gone: frozenset[int], gram_of: GramOf
) -> None:
    """Solves the weights of `pruned` that lost inputs anew, in place: min E|W x - W' x_kept|^2, with the ridge of
    `gram_of` on how far W' moves from W. Biases stay. Weights with several owners stay too."""
    for name, weight in _of_one_owner(original):
        marked = structure.tensors.get(id(weight))
        if marked is None or weight.ndim < 2:
            continue
        rows, inputs = (kept_indices(structure, marked[dim], gone, weight.shape[dim]) for dim in (0, 1))
        gram = gram_of(name) if len(inputs) < weight.shape[1] else None
        if gram is not None:
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
