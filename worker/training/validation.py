"""How good a network is between epochs: by the metric that the finished files are judged by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.core.measurements import Metric
from worker.data import Examples
from worker.evaluation.answers import are_probabilities, metric_of, scores
from worker.network import tensors_in
from worker.run import Run
from worker.training.batches import Batches
from worker.training.history import Judgement
from worker.training.objectives import loss_of_imitation, loss_of_labels
from worker.training.split import Split

MOST_VALUES = 1 << 24
FEWEST = 16


@dataclass(frozen=True)
class Judge:
    """Some examples, with the upload's answers to them. Labels are None where they are not to be looked at."""

    batches: Batches
    labels: NDArray[Any] | None
    reference: NDArray[Any]

    @property
    def metric(self) -> Metric:
        return metric_of(self.labels)

    def judge(self, module: nn.Module) -> Judgement | None:
        """None without examples."""
        if not self.reference.size:
            return None
        answers = answers_to(module, self.batches)
        quality = float(scores(self.metric, answers, self.reference, self.labels).mean())
        return Judgement(self.metric, quality, self._loss(torch.from_numpy(answers)))

    def _loss(self, answers: Tensor) -> float:
        probabilities = are_probabilities(self.reference, self.labels)
        if self.labels is not None:
            return loss_of_labels(answers, torch.from_numpy(self.labels), probabilities=probabilities).item()
        return loss_of_imitation([answers], [torch.from_numpy(self.reference)], probabilities=probabilities).item()


@dataclass(frozen=True)
class Judges:
    """`validation` of examples that were held back, `training` of as many that are trained on."""

    validation: Judge
    training: Judge

    @classmethod
    def on(cls, parts: Split, run: Run, batch_size: int, *, use_labels: bool) -> "Judges":
        return cls(*(_judge_on(part, run, batch_size, use_labels) for part in (parts.validation, parts.seen)))

    @property
    def metric(self) -> Metric:
        return self.validation.metric


def _judge_on(examples: Examples, run: Run, batch_size: int, use_labels: bool) -> Judge:
    assert run.data is not None
    batches = Batches(examples, run.data.inputs, batch_size)
    labels = np.asarray(examples.labels[examples.rows]) if use_labels and examples.labels is not None else None
    return Judge(batches, labels, answers_to(run.upload.module, batches))


def answers_to(module: nn.Module, batches: Batches) -> NDArray[Any]:
    """The first output for every example, in inference."""
    was_training = module.training
    module.eval()
    with torch.no_grad():
        parts = [tensors_in(module(*batch.inputs))[0].numpy() for batch in batches.in_order()]
    module.train(was_training)
    return np.concatenate(parts) if parts else np.empty(0)


def most_examples(run: Run) -> int:
    """So many that their answers fit into memory."""
    assert run.data is not None
    two = Batches(run.data.train.at(np.arange(min(2, len(run.data.train)))), run.data.inputs, 2)
    answers = answers_to(run.upload.module, two)
    return max(FEWEST, MOST_VALUES // max(1, int(answers[0].size)))
