"""The network that learns: the one at hand, a thin copy of the upload, or another."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor

from app.core.errors import Invalid
from app.core.recipes.distillation import NewStudent, UploadedStudent
from worker.inputs import random_inputs
from worker.loading.untrained import untrained_network
from worker.network import Network
from worker.run import Run


@singledispatch
def student_of(_choice: object, network: Network, _run: Run) -> Network:
    """A network that may be changed, with the inputs of `network`. The choice is a distillation's `student`."""
    return replace(network, module=deepcopy(network.module))


@student_of.register
def _(choice: UploadedStudent, network: Network, run: Run) -> Network:
    return replace(network, module=run.network_of(choice.model).module)


@student_of.register
def _(choice: NewStudent, network: Network, run: Run) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return replace(network, module=untrained_network(choice.architecture, network.inputs))


def check_fits(student: Network, teacher: Network) -> None:
    """Raises Invalid where they don't take the same examples, or don't answer alike."""
    inputs = random_inputs(teacher.inputs, 2, seed=0)
    taught = [tuple(answer.shape) for answer in teacher.run(*inputs)]
    try:
        answered = [tuple(answer.shape) for answer in student.run(*inputs)]
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise student_does_not_fit(f"The student can't take the teacher's inputs {_listed(inputs)}.") from error
    if answered != taught:
        raise student_does_not_fit(f"For two examples the student answers {answered}, and the teacher {taught}.")


def student_does_not_fit(what: str) -> Invalid:
    return Invalid(
        f"{what} Name a student and a teacher that take the same inputs and answer in the same shape.",
        code="student_does_not_fit",
        title="The student doesn't fit its teacher",
    )


def _listed(inputs: Sequence[Tensor]) -> str:
    return ", ".join(f"{list(one.shape)} ({str(one.dtype).removeprefix('torch.')})" for one in inputs)
