"""What random perturbations of the weights do: to the answers, and to what each weight contributes."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from worker.importance.examples import example_batches_again
from worker.importance.losses import importance_loss
from worker.network import Network, tensors_in
from worker.run import Run

EXAMPLES = 512
BATCH_SIZE = 16
PERTURBATIONS = 64
NOISE = 0.3

Weights = dict[str, Tensor]


def answer_sensitivity(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """By parameter name, in the parameter's shape: E‖∂f/∂w‖², the mean over examples and perturbed networks of the
    squared length of the answers' derivative by the weight. Perturbed networks have all weights multiplied by
    1 + NOISE * ε with ε ~ N(0, 1).

    A disturbance d of the weight w alone, such as its removal, moves the answers by about d * sqrt(E‖∂f/∂w‖²), so
    w² E‖∂f/∂w‖² says how stable they are against losing it. Needs `run.data`, but no labels.

    The length is estimated without bias by random signs s: E_s[(∂ s·f / ∂w)²] = ‖∂f/∂w‖² (Hutchinson, 1990).
    """
    squares, count = _zeros(network), 0
    generator = torch.Generator().manual_seed(run.seed + 1)
    for perturbed, inputs, _ in _perturbed_networks(network, run, examples):
        answers = tensors_in(functional_call(network.module, perturbed, inputs))[0]
        signs = torch.randint(0, 2, answers.shape, generator=generator) * 2 - 1
        count += len(inputs[0])
        for name, derivative in _derivatives((answers * signs).sum(), perturbed).items():
            squares[name].addcmul_(derivative, derivative)
    return {name: square / count for name, square in squares.items()}


def effect_spread(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """By parameter name, in the parameter's shape: the standard deviation, over the same perturbed networks with a
    batch of examples each, of ∂L/∂w, the derivative of the loss (`importance_loss`). A weight's effect on the loss is
    w ∂L/∂w; times |w| this is how far its effect spreads. Needs `run.data`."""
    totals, squares, loss = _zeros(network), _zeros(network), importance_loss(run)
    for perturbed, inputs, labels in _perturbed_networks(network, run, examples):
        answers = tensors_in(functional_call(network.module, perturbed, inputs))[0]
        for name, derivative in _derivatives(loss(answers, labels), perturbed).items():
            totals[name].add_(derivative, alpha=1 / PERTURBATIONS)
            squares[name].addcmul_(derivative, derivative, value=1 / PERTURBATIONS)
    return {name: (squares[name] - totals[name].square()).clamp_min(0).sqrt() for name in totals}


def _perturbed_networks(
    network: Network, run: Run, examples: int
) -> Iterator[tuple[Weights, tuple[Tensor, ...], Tensor | None]]:
    generator = torch.Generator().manual_seed(run.seed)
    for inputs, labels in example_batches_again(network, run, examples, BATCH_SIZE, PERTURBATIONS):
        yield {n: _perturbed(p, generator) for n, p in network.module.named_parameters()}, inputs, labels


def _perturbed(parameter: nn.Parameter, generator: torch.Generator) -> Tensor:
    noise = torch.randn(parameter.shape, generator=generator)
    return (parameter.detach() * (1 + NOISE * noise)).requires_grad_()


def _derivatives(number: Tensor, weights: Weights) -> Weights:
    found = torch.autograd.grad(number, list(weights.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(weights, found, strict=True) if gradient is not None}


def _zeros(network: Network) -> Weights:
    return {name: torch.zeros_like(p, requires_grad=False) for name, p in network.module.named_parameters()}
