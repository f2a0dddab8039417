"""All that a student is taught at once: the sum of what its answers and its lessons cost."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from worker.distillation.answers import AnswerLoss
from worker.distillation.intermediates import with_intermediates
from worker.distillation.lesson import Lesson
from worker.distillation.teacher import Teacher
from worker.network import tensors_in
from worker.training import Batch


class DistillationObjective:
    """`answers` None: nothing but the lessons counts."""

    def __init__(
        self, student: nn.Module, teacher: Teacher, answers: AnswerLoss | None, lessons: Sequence[Lesson] = ()
    ) -> None:
        nodes = [names for lesson in lessons for names in lesson.nodes]
        self._student = with_intermediates(student, [mine for mine, _ in nodes])
        self._teacher, self._taught_nodes = teacher, [taught for _, taught in nodes]
        self._answers, self._lessons = answers, lessons

    def __call__(self, _module: nn.Module, batch: Batch) -> Tensor:
        """The module is the student itself, whose layers the recording one shares."""
        answers, values = self._student(*batch.inputs)
        taught, taught_values = self._teacher.answers(batch, self._taught_nodes)
        loss = torch.zeros(()) if self._answers is None else self._answers(tensors_in(answers), taught, batch.labels)
        for lesson in self._lessons:
            count = len(lesson.nodes)
            loss = loss + lesson.loss(values[:count], taught_values[:count])
            values, taught_values = values[count:], taught_values[count:]
        return loss
