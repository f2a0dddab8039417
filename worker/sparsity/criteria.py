"""A score for each weight, by the criterion's name: the lowest go first.

w is the weight, L the loss (`importance_loss`), f the answers, E the mean over training examples:

    l1, l2      |w|                            the same order for single weights; blocks differ
    random      a number drawn by the seed
    gradient    |w| E|∂L/∂w|                   first-order change of each example's loss (Molchanov et al., 2017)
    snip        |w E[∂L/∂w]|                   of the mean loss (Lee et al., SNIP, 2019)
    wanda       |w| sqrt(E[x²])                x: what the weight multiplies (Sun et al., 2024)
    obd         w² ∂²L/∂w² / 2                 second-order change (LeCun et al., Optimal Brain Damage, 1990)
    stability   w² E‖∂f/∂w‖²                   how far its loss moves the answers, under random perturbation
    spread      |w| deviation of ∂L/∂w         how far its effect on the loss varies, under random perturbation
    lsh         |w| (1 - c)                    c: the row's cosine to the most similar larger row
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from app.core.recipes import MagnitudePruning
from worker.importance.curvature import loss_curvature
from worker.importance.gradients import loss_gradients
from worker.importance.input_statistics import input_statistics
from worker.importance.lsh import redundancy
from worker.importance.stability import answer_sensitivity, effect_spread
from worker.network import Network
from worker.run import Run
from worker.sparsity.weights import Tensors, matrix

Judge = Callable[[Network, Run, Tensors], Tensors]


def weight_scores(step: MagnitudePruning, network: Network, run: Run, weights: Mapping[str, Tensor]) -> Tensors:
    """By name, in the weights' shapes; none is negative."""
    return JUDGES[step.criterion](network, run, {name: weight.detach() for name, weight in weights.items()})


def _magnitude(_network: Network, _run: Run, weights: Tensors) -> Tensors:
    return {name: weight.abs() for name, weight in weights.items()}


def _random(_network: Network, run: Run, weights: Tensors) -> Tensors:
    generator = torch.Generator().manual_seed(run.seed)
    return {name: torch.rand(weight.shape, generator=generator) for name, weight in weights.items()}


def _gradient(network: Network, run: Run, weights: Tensors) -> Tensors:
    gradients = loss_gradients(network, run)
    return {name: weight.abs() * gradients.mean_absolute[name] for name, weight in weights.items()}


def _snip(network: Network, run: Run, weights: Tensors) -> Tensors:
    gradients = loss_gradients(network, run)
    return {name: (weight * gradients.mean[name]).abs() for name, weight in weights.items()}


def _wanda(network: Network, run: Run, weights: Tensors) -> Tensors:
    """A tied weight counts what all its layers take in. One whose input can't be seen is judged as if that were 1."""
    first_names = {id(parameter): name for name, parameter in network.module.named_parameters()}
    mean_squares: Tensors = {}
    for name, inputs in input_statistics(network, run).items():
        first = first_names[id(network.module.get_parameter(name))]
        mean_squares[first] = mean_squares[first] + inputs.mean_square if first in mean_squares else inputs.mean_square
    return {name: w.abs() * mean_squares.get(name, torch.ones(())).sqrt() for name, w in weights.items()}


def _obd(network: Network, run: Run, weights: Tensors) -> Tensors:
    curvature = loss_curvature(network, run)
    return {name: weight.square() * curvature[name] / 2 for name, weight in weights.items()}


def _stability(network: Network, run: Run, weights: Tensors) -> Tensors:
    sensitivity = answer_sensitivity(network, run)
    return {name: weight.square() * sensitivity[name] for name, weight in weights.items()}


def _spread(network: Network, run: Run, weights: Tensors) -> Tensors:
    spread = effect_spread(network, run)
    return {name: weight.abs() * spread[name] for name, weight in weights.items()}


def _lsh(_network: Network, run: Run, weights: Tensors) -> Tensors:
    return {name: _of_rows(weight, 1 - redundancy(matrix(weight), run.seed)) for name, weight in weights.items()}


def _of_rows(weight: Tensor, rows: Tensor) -> Tensor:
    return weight.abs() * rows.view(-1, *[1] * (weight.ndim - 1))


JUDGES: dict[str, Judge] = {
    "l1": _magnitude,
    "l2": _magnitude,
    "random": _random,
    "gradient": _gradient,
    "snip": _snip,
    "wanda": _wanda,
    "obd": _obd,
    "stability": _stability,
    "spread": _spread,
    "lsh": _lsh,
}
