"""How the loss is bent along each weight."""

import torch
from torch import Tensor

from worker.importance.gradients import EXAMPLES, gradients_by_example
from worker.importance.losses import drawn_loss
from worker.network import Network
from worker.run import Run


def loss_curvature(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """By parameter name, in the parameter's shape: the diagonal of the Gauss-Newton matrix, which is the loss's Hessian
    without the second derivatives of the answers, as in Optimal Brain Damage (LeCun et al., 1990). Never negative.
    Needs `run.data`.

    Estimated as E[g²] with the gradients g of single examples by the loss to labels that are drawn from the network's
    own answers: the diagonal of the Fisher matrix, which is the Gauss-Newton matrix for these losses (Martens, 2020).
    """
    sums = {name: torch.zeros_like(p, requires_grad=False) for name, p in network.module.named_parameters()}
    count = 0
    for gradients in gradients_by_example(network, run, examples, drawn_loss(run)):
        count += 1
        for name, gradient in gradients.items():
            sums[name].addcmul_(gradient, gradient)
    return {name: total / count for name, total in sums.items()}
