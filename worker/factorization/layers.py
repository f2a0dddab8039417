"""One layer -> a chain of smaller ones."""

from dataclasses import dataclass

from torch import Tensor, nn

from worker.factorization.chains import Convolution, cp_chain, linear_chain, svd_chain, tucker_chain
from worker.factorization.decompositions import Cp, Svd, Tucker2, cp, relative_error, truncated_svd, tucker2
from worker.factorization.plans import Plan


@dataclass(frozen=True)
class Factored:
    """`error` is ||W - W'|| / ||W|| in the Frobenius norm, of the layer's weights."""

    chain: list[nn.Module]
    error: float


def factored(layer: nn.Linear | Convolution, plan: Plan, seed: int) -> Factored:
    decomposed = _decomposed(layer.weight.detach(), plan, seed)
    chain = _chain(layer, decomposed)
    for each in chain:
        each.to(layer.weight.dtype).train(layer.training)
    return Factored(chain, relative_error(decomposed.product().view_as(layer.weight), layer.weight.detach()))


def _decomposed(weight: Tensor, plan: Plan, seed: int) -> Svd | Tucker2 | Cp:
    if plan.method == "tucker":
        rank_out, rank_in = plan.ranks
        return tucker2(weight, rank_out, rank_in)
    (rank,) = plan.ranks
    return cp(weight, rank, seed) if plan.method == "cp" else truncated_svd(weight.flatten(1), rank)


def _chain(layer: nn.Linear | Convolution, decomposed: Svd | Tucker2 | Cp) -> list[nn.Module]:
    if isinstance(layer, nn.Linear):
        assert isinstance(decomposed, Svd)
        return linear_chain(layer, decomposed)
    if isinstance(decomposed, Tucker2):
        return tucker_chain(layer, decomposed)
    return cp_chain(layer, decomposed) if isinstance(decomposed, Cp) else svd_chain(layer, decomposed)
