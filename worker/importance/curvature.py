"""How the loss is bent along each weight: the diagonal of its Hessian."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from worker.importance.examples import Batch, example_batches_again
from worker.importance.losses import importance_loss
from worker.kernels import without_fused_kernels
from worker.network import Network, tensors_in
from worker.run import Run

EXAMPLES = 512
BATCH_SIZE = 16
DRAWS = 32


def loss_curvature(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """By parameter name, in the parameter's shape: E_v[v * Hv] over DRAWS vectors v of random signs, each with the
    Hessian H of the loss (`importance_loss`) on another batch. Hutchinson's estimate of H's diagonal, as in AdaHessian
    (Yao et al., 2021). Its error is of the size of the rest of the row of H, so that it may be negative. Needs
    `run.data`.
    """
    parameters = dict(network.module.named_parameters())
    sums = {name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()}
    for products in _products(network, run, examples, parameters):
        for name, product in products.items():
            sums[name].add_(product, alpha=1 / DRAWS)
    return sums


def _products(
    network: Network, run: Run, examples: int, parameters: dict[str, nn.Parameter]
) -> Iterator[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(run.seed)
    for batch in example_batches_again(network, run, examples, BATCH_SIZE, DRAWS):
        signs = {n: torch.randint(0, 2, p.shape, generator=generator) * 2.0 - 1 for n, p in parameters.items()}
        yield _hessian_product(network, batch, parameters, signs)


def _hessian_product(
    network: Network, batch: Batch, parameters: dict[str, nn.Parameter], signs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """v * Hv: the derivative of the gradient's component along v."""
    inputs, labels = batch
    weights = list(parameters.values())
    with without_fused_kernels():
        loss = importance_loss(tensors_in(network.module(*inputs))[0], labels)
        gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        products = torch.autograd.grad(gradients, weights, list(signs.values()), materialize_grads=True)
    return {name: product * signs[name] for name, product in zip(parameters, products, strict=True)}
