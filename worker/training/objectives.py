"""What a training minimises: functions of a network and a batch that give one number."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.evaluation.answers import are_probabilities, class_axis, has_class_scores
from worker.network import tensors_in
from worker.run import Run
from worker.training.batches import Batch, Batches

Objective = Callable[[nn.Module, Batch], Tensor]
EXAMPLES_LOOKED_AT = 64


def recovery_objective(run: Run, teacher: nn.Module | None = None, *, label_smoothing: float = 0.0) -> Objective:
    """Labels where the data set has any, else the answers of `teacher` (None: the upload)."""
    assert run.data is not None
    if run.data.train.labels is None:
        return imitation(run, teacher or run.upload.module)
    return supervised(run, label_smoothing)


def supervised(run: Run, label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy for classes, mean squared error for floats, of the first output. Further outputs, which no label
    speaks of, are held to the upload's."""
    upload, probabilities = run.upload.module, answers_are_probabilities(run)
    several = len(_answers(upload, first_examples(run))) > 1

    def objective(module: nn.Module, batch: Batch) -> Tensor:
        assert batch.labels is not None
        first, *others = tensors_in(module(*batch.inputs))
        loss = loss_of_labels(first, batch.labels, probabilities=probabilities, label_smoothing=label_smoothing)
        return loss + likeness(others, _answers(upload, batch)[1:]) if several else loss

    return objective


def imitation(run: Run, teacher: nn.Module) -> Objective:
    """To answer as the teacher does, see `loss_of_imitation`."""
    probabilities = answers_are_probabilities(run)

    def objective(module: nn.Module, batch: Batch) -> Tensor:
        answers = tensors_in(module(*batch.inputs))
        return loss_of_imitation(answers, _answers(teacher, batch), probabilities=probabilities)

    return objective


def loss_of_labels(answers: Tensor, labels: Tensor, *, probabilities: bool, label_smoothing: float = 0.0) -> Tensor:
    """`answers` of shape (N, C), (N, C, ...), (N, ..., C) or, for a yes or no, (N,) or (N, 1); `labels` without C."""
    if labels.is_floating_point():
        return functional.mse_loss(answers.reshape(len(labels), -1), labels.to(answers.dtype).reshape(len(labels), -1))
    if has_class_scores(_shape_of(answers), _shape_of(labels)):
        logits = class_logits(answers, class_axis(_shape_of(answers), _shape_of(labels)), probabilities=probabilities)
        return functional.cross_entropy(logits, labels.long().flatten(), label_smoothing=label_smoothing)
    wanted = labels.to(answers.dtype).view_as(answers) * (1 - label_smoothing) + label_smoothing / 2
    if probabilities:
        return functional.binary_cross_entropy(answers.clamp(0, 1), wanted)
    return functional.binary_cross_entropy_with_logits(answers, wanted)


def loss_of_imitation(answers: Sequence[Tensor], wanted: Sequence[Tensor], *, probabilities: bool) -> Tensor:
    """For a first output with a score for each class its divergence from the teacher's; for all outputs their distance,
    without which a softmax would leave their level free."""
    return divergence(answers[0], wanted[0], probabilities=probabilities) + likeness(answers, wanted)


def divergence(answers: Tensor, wanted: Tensor, *, probabilities: bool) -> Tensor:
    """KL(wanted || answers) over classes, the mean over all choices; 0 where there is no score for each class."""
    if not has_class_scores(_shape_of(wanted)):
        return answers.new_zeros(())
    axis = class_axis(_shape_of(wanted))
    given, target = (class_logits(one, axis, probabilities=probabilities) for one in (answers, wanted))
    return soft_target_loss(given, target, temperature=1.0)


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² KL(teacher || student) of logits of shape (choices, classes), the mean over choices. The factor keeps
    gradients of one size for every temperature."""
    given, target = (functional.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * functional.kl_div(given, target, reduction="batchmean", log_target=True)


def likeness(answers: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """The mean squared error of each output, in units of the teacher's own variance. Outputs that aren't numbers on a
    scale, or that pruning has given another shape, are passed over."""
    total = torch.zeros(())
    for one, target in zip(answers, wanted, strict=True):
        if one.shape == target.shape and target.is_floating_point() and target.numel():
            spread = target.var(correction=0).clamp_min(torch.finfo(target.dtype).eps)
            total = total + functional.mse_loss(one, target) / spread
    return total


def class_logits(answers: Tensor, axis: int, *, probabilities: bool) -> Tensor:
    """Of shape (choices, classes). The logarithms of probabilities are logits: a softmax gives them back."""
    logits = answers.clamp_min(torch.finfo(answers.dtype).tiny).log() if probabilities else answers
    return logits.movedim(axis, -1).flatten(0, -2)


def answers_are_probabilities(run: Run) -> bool:
    """By the upload's first output for some training examples."""
    batch = first_examples(run)
    labels = None if batch.labels is None else batch.labels.numpy()
    return are_probabilities(_answers(run.upload.module, batch)[0].numpy(), labels)


def first_examples(run: Run) -> Batch:
    assert run.data is not None
    count = min(EXAMPLES_LOOKED_AT, len(run.data.train))
    return next(Batches(run.data.train.at(np.arange(count)), run.data.inputs, count).in_order())


def _answers(teacher: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tensors_in(teacher(*batch.inputs))


def _shape_of(tensor: Tensor) -> np.ndarray:
    """An array of this shape and no content: which axis holds the classes is a question of shapes alone."""
    return np.broadcast_to(np.float32(0), tuple(tensor.shape))
