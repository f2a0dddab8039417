"""How the loss depends on each weight: gradients of single examples, averaged."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.importance.examples import example_batches
from worker.importance.losses import Loss, importance_loss
from worker.network import Network, tensors_in
from worker.run import Run

EXAMPLES = 256


@dataclass(frozen=True)
class Gradients:
    """Tensors in the shapes of the parameters, by parameter name (a tied parameter under its first name).

    With g the gradient of one example's loss by a weight, over all examples:

    mean            E[g], the gradient of a batch
    mean_absolute   E[|g|]
    mean_square     E[g²], the diagonal of the empirical Fisher matrix, which stands for the Hessian's (the loss's
                    second derivatives) near a minimum: Martens, New Insights and Perspectives on the Natural Gradient
                    Method, 2020
    """

    mean: dict[str, Tensor]
    mean_absolute: dict[str, Tensor]
    mean_square: dict[str, Tensor]


def loss_gradients(network: Network, run: Run, examples: int = EXAMPLES) -> Gradients:
    """Of `examples` training examples one by one, by the loss to their labels, or where there are none by the length
    of the answers (see `importance_loss`). Needs `run.data`, and memory for five times the parameters."""
    parameters = dict(network.module.named_parameters())
    sums = [{name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()} for _ in range(3)]
    mean, absolute, square = sums
    count = 0
    for gradients in gradients_by_example(network, run, examples, importance_loss(run)):
        count += 1
        for name, gradient in gradients.items():
            mean[name].add_(gradient)
            square[name].addcmul_(gradient, gradient)
            absolute[name].add_(gradient.abs_())
    for each in sums:
        for total in each.values():
            total.div_(count)
    return Gradients(mean, absolute, square)


def gradients_by_example(network: Network, run: Run, examples: int, loss: Loss) -> Iterator[dict[str, Tensor]]:
    """By parameter name; what the answers don't depend on is left out."""
    parameters = dict(network.module.named_parameters())
    for inputs, labels in example_batches(network, run, examples, batch_size=1):
        lost = loss(tensors_in(network.module(*inputs))[0], labels)
        found = torch.autograd.grad(lost, list(parameters.values()), allow_unused=True)
        yield {name: g for name, g in zip(parameters, found, strict=True) if g is not None}
