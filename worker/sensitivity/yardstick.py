"""The examples on which a network is compared with what becomes of it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.core.errors import Problem
from app.core.measurements import Quality
from worker.counting import count
from worker.evaluation.answers import Array, relative_error
from worker.evaluation.examples import Batch, Examples, examples_of, synthetic_examples
from worker.evaluation.quality import answer_all, fall, judge
from worker.network import Network
from worker.run import Run
from worker.training.split import held_back

# As many as a processor does in some minutes.
MOST_MACS = 2e12
FEWEST, MOST = 16, 512
FEWEST_HELD_BACK = 64


@dataclass(frozen=True)
class Yardstick:
    """`reference` is the upload's answers, `exact` those of the network that is changed."""

    examples: Examples
    reference: Array
    exact: Array

    @classmethod
    def on(cls, examples: Examples, network: Network, upload: Network) -> "Yardstick":
        exact = _answers(network, examples)
        reference = exact if network.module is upload.module else _answers(upload, examples)
        return cls(examples, reference, exact)

    @cached_property
    def quality_before(self) -> Quality:
        return judge(self.exact, self.reference, self.examples)

    def judged(self, network: Network) -> tuple[Quality, float]:
        """Its quality, and the relative error of its answers. Raises Problem where these aren't finite."""
        answers = _answers(network, self.examples)
        if not np.isfinite(answers).all():
            raise Problem("The answers are not finite numbers.", code="answers_not_finite")
        return judge(answers, self.reference, self.examples), relative_error(answers, self.exact)

    def fall(self, network: Network) -> tuple[float, float]:
        """What quality falls by, in the metric's own unit, and the standard error of that."""
        return fall(_answers(network, self.examples), self.exact, self.reference, self.examples)

    def error(self, network: Network) -> float:
        return relative_error(_answers(network, self.examples), self.exact)


def held_back_examples(network: Network, run: Run, evaluations: int) -> Examples:
    """Training examples that training holds back first; random ones without data."""
    most = affordable_examples(network, evaluations)
    if run.data is None:
        return synthetic_examples(network.inputs, run.seed, most)
    tenth = max(FEWEST_HELD_BACK, len(run.data.train) // 10)
    return examples_of(held_back(run.data.train, min(most, tenth)), network.inputs)


def affordable_examples(network: Network, evaluations: int) -> int:
    """So many that the network can be run on them so often. Whatever the machine: the same job has the same ones."""
    affordable = int(MOST_MACS / max(1, count(network).macs * evaluations))
    return max(FEWEST, min(MOST, affordable))


def _answers(network: Network, examples: Examples) -> Array:
    def run(batch: Batch) -> list[Array]:
        return [output.numpy() for output in network.run(*batch)]

    return answer_all(run, examples, lambda _done: None)
