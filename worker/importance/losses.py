"""The loss whose gradient says what matters."""

import torch
from torch import Tensor, nn

from worker.evaluation.answers import class_axis


def importance_loss(answers: Tensor, labels: Tensor | None) -> Tensor:
    """The mean over the batch of the loss to the labels: cross-entropy for classes, squared error for targets.

    Without labels it is half the squared length of the answers (Memory Aware Synapses, Aljundi et al., 2018), whose
    gradient is how much the answers themselves depend on a weight. The divergence from the network's own answers would
    have no gradient at all: it is at its minimum.
    """
    if labels is None:
        return answers.square().sum() / (2 * len(answers))
    if labels.is_floating_point():
        return nn.functional.mse_loss(answers.reshape(labels.shape), labels.to(answers.dtype))
    return _cross_entropy(answers, labels)


def _cross_entropy(answers: Tensor, labels: Tensor) -> Tensor:
    if answers.ndim == 1 or answers.shape[1:].numel() == labels.shape[1:].numel():
        single = answers.reshape(labels.shape)
        return nn.functional.binary_cross_entropy_with_logits(single, labels.to(single.dtype))
    axis = class_axis(answers.detach().numpy(), labels.numpy())
    return nn.functional.cross_entropy(torch.movedim(answers, axis, 1), labels.long())
