"""The losses whose gradients say what matters."""

from collections.abc import Callable

import torch
from torch import Tensor

from worker.evaluation.answers import class_axis, has_class_scores
from worker.run import Run
from worker.training.objectives import answers_are_probabilities, class_logits, loss_of_labels

Loss = Callable[[Tensor, Tensor | None], Tensor]


def importance_loss(run: Run) -> Loss:
    """Of answers and labels, the mean over the batch: the loss to the labels (`loss_of_labels`).

    Without labels it is half the squared length of the answers (Memory Aware Synapses, Aljundi et al., 2018), whose
    gradient is how much the answers themselves depend on a weight. The divergence from the network's own answers would
    have no gradient at all: it is at its minimum.
    """
    probabilities = answers_are_probabilities(run)

    def loss(answers: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None:
            return answers.square().sum() / (2 * len(answers))
        return loss_of_labels(answers, labels, probabilities=probabilities)

    return loss


def drawn_loss(run: Run) -> Loss:
    """The same loss to labels that are drawn from what the network itself answers: classes by their probability,
    numbers with normal noise. Of the given labels only the kind and the shape count."""
    probabilities = answers_are_probabilities(run)
    generator = torch.Generator().manual_seed(run.seed)

    def loss(answers: Tensor, labels: Tensor | None) -> Tensor:
        drawn = _drawn(answers.detach(), labels, probabilities, generator)
        return loss_of_labels(answers, drawn, probabilities=probabilities)

    return loss


def _drawn(answers: Tensor, labels: Tensor | None, probabilities: bool, generator: torch.Generator) -> Tensor:
    if labels is None or labels.is_floating_point():
        return answers + torch.randn(answers.shape, generator=generator)
    if has_class_scores(answers.numpy(), labels.numpy()):
        logits = class_logits(answers, class_axis(answers.numpy(), labels.numpy()), probabilities=probabilities)
        return torch.multinomial(logits.softmax(1), 1, generator=generator).view(labels.shape)
    likely = answers if probabilities else answers.sigmoid()
    return torch.bernoulli(likely.clamp(0, 1), generator=generator).long().view(labels.shape)
