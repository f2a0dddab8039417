"""What a training may keep small beside its loss: functions of a layer that give one number, 0 where there is nothing
that they speak of."""

from collections.abc import Callable, Iterator
from math import sqrt

import torch
from torch import Tensor, nn

from app.core.recipes.sparsity_training import Penalty

LayerPenalty = Callable[[nn.Module], Tensor]


def l1(layer: nn.Module) -> Tensor:
    """The sum of the weights' absolute values. Biases, norms and other vectors are left out."""
    return _sum(weight.abs().sum() for weight in weights_of(layer))


def l2(layer: nn.Module) -> Tensor:
    """The sum of the weights' squares."""
    return _sum(weight.square().sum() for weight in weights_of(layer))


def group_lasso(layer: nn.Module) -> Tensor:
    """The sum of the lengths of output channels, each weighed by the root of its number of weights (Yuan and Lin,
    Model Selection and Estimation in Regression with Grouped Variables, 2006)."""
    return _sum(
        sqrt(channels.shape[1]) * torch.linalg.vector_norm(channels, dim=1).sum() for channels in channels_of(layer)
    )


def batch_norm_l1(layer: nn.Module) -> Tensor:
    """The sum of the absolute scales of a batch norm's channels."""
    return _sum(scale.abs().sum() for scale in scales_of(layer))


PENALTIES: dict[Penalty, LayerPenalty] = {
    "l1": l1,
    "l2": l2,
    "group_lasso": group_lasso,
    "batch_norm_l1": batch_norm_l1,
}


def weights_of(layer: nn.Module) -> list[Tensor]:
    return [parameter for parameter in layer.parameters(recurse=False) if parameter.ndim >= 2]


def channels_of(layer: nn.Module) -> Iterator[Tensor]:
    """Each weight as (output channels, weights of one). A recurrent layer's channel is a hidden unit, in all of its
    gates; a row of an embedding is a word, and no channel."""
    for weight in [] if isinstance(layer, nn.Embedding) else weights_of(layer):
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            yield weight.transpose(0, 1).flatten(1)
        elif isinstance(layer, nn.RNNBase) and len(weight) % layer.hidden_size == 0:
            yield weight.view(-1, layer.hidden_size, weight.shape[1]).transpose(0, 1).flatten(1)
        else:
            yield weight.flatten(1)


def scales_of(layer: nn.Module) -> list[Tensor]:
    if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return []
    return [parameter for name, parameter in layer.named_parameters(recurse=False) if name == "weight"]


def _sum(terms: Iterator[Tensor]) -> Tensor:
    return sum(terms, start=torch.zeros(()))
