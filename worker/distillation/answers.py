"""What a student's answers cost, beside the teacher's and beside labels.

    labels: true      alpha T² KL + (1 - alpha) CE(labels)                Hinton et al., Distilling the Knowledge in a
    labels: none      T² KL                                               Neural Network, 2015
    labels: teacher   2 alpha T² KL + (1 - alpha) CE(teacher's choices)

KL is of the teacher's probabilities to the student's, both softened by the temperature T. Where answers are numbers
and no scores of classes, the mean squared error takes the place of T² KL and of CE. Where no label tells which they
are, the level of answers counts too, which a softmax would leave free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from worker.evaluation.answers import are_probabilities, class_axis, has_class_scores
from worker.network import tensors_in
from worker.training import Batch
from worker.training.objectives import class_logits, likeness, loss_of_labels, soft_target_loss

LabelsUsed = Literal["true", "teacher", "none"]


@dataclass(frozen=True)
class AnswerKind:
    """How a network's first output is to be read: `class_axis` holds one score for each class; None where there is
    none. Then `yes_or_no` tells one score for two classes from numbers. `certain`: labels tell that."""

    class_axis: int | None
    yes_or_no: bool = False
    certain: bool = True
    probabilities: bool = False

    def logits(self, answers: Tensor) -> Tensor:
        """Of shape (choices, classes)."""
        if self.class_axis is not None:
            return class_logits(answers, self.class_axis, probabilities=self.probabilities)
        both = torch.stack([1 - answers if self.probabilities else torch.zeros_like(answers), answers], dim=-1)
        return class_logits(both, both.ndim - 1, probabilities=self.probabilities)

    def choices(self, answers: Tensor) -> Tensor:
        """As labels would say them: class indices, or the numbers themselves."""
        if self.class_axis is not None:
            return answers.argmax(self.class_axis)
        return (answers > (0.5 if self.probabilities else 0.0)).long() if self.yes_or_no else answers


@dataclass(frozen=True)
class AnswerLoss:
    temperature: float
    alpha: float
    labels: LabelsUsed
    student: AnswerKind
    teacher: AnswerKind
    label_smoothing: float = 0.0

    def __call__(self, answers: Sequence[Tensor], taught: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """Of the first output, and how far others are from the teacher's: of those no label speaks."""
        return self._of_first(answers[0], taught[0], labels) + likeness(answers[1:], taught[1:])

    def _of_first(self, answers: Tensor, taught: Tensor, labels: Tensor | None) -> Tensor:
        soft = self._soft(answers, taught)
        if self.labels == "none":
            return soft
        if self.labels == "teacher":
            return 2 * self.alpha * soft + (1 - self.alpha) * self._hard(answers, self.teacher.choices(taught))
        assert labels is not None, "labels are asked for before queueing"
        return self.alpha * soft + (1 - self.alpha) * self._hard(answers, labels)

    def _soft(self, answers: Tensor, taught: Tensor) -> Tensor:
        if self.teacher.class_axis is None and not self.teacher.yes_or_no:
            return mse_loss(answers, taught)
        loss = soft_target_loss(self.student.logits(answers), self.teacher.logits(taught), self.temperature)
        return loss if self.teacher.certain else loss + likeness([answers], [taught])

    def _hard(self, answers: Tensor, labels: Tensor) -> Tensor:
        return loss_of_labels(
            answers, labels, probabilities=self.student.probabilities, label_smoothing=self.label_smoothing
        )


def kind_of_answers(module: nn.Module, examples: Batch) -> AnswerKind:
    with torch.no_grad():
        answers = tensors_in(module(*examples.inputs))[0].numpy()
    labels = None if examples.labels is None else examples.labels.numpy()
    if labels is not None and labels.dtype.kind == "f":
        return AnswerKind(None)
    scored = has_class_scores(answers, labels)
    return AnswerKind(
        class_axis(answers, labels) if scored else None,
        yes_or_no=not scored and labels is not None,
        certain=labels is not None,
        probabilities=are_probabilities(answers, labels),
    )
