"""Distillation: a student learns to answer as its teacher does. The losses are in worker/distillation."""

from dataclasses import replace
from functools import partial

from app.core.recipes import Distillation, StructuredPruning
from app.core.recipes.distillation import ThinStudent
from worker.distillation.student import check_fits, student_of
from worker.distillation.teaching import teach
from worker.layer_selection import selected
from worker.network import Network
from worker.run import Run
from worker.techniques import apply
from worker.training.freezing import trainable_layers
from worker.training.initialization import initialize
from worker.training.pruned_weights import PrunedWeights

OTHER_STUDENT = "The student is another network than the one at hand: what the steps before have made of that is lost."


@student_of.register
def _(choice: ThinStudent, _network: Network, run: Run) -> Network:
    """Its weights are those of the upload's channels that were kept."""
    return apply(StructuredPruning(ratio=choice.thin, scope="layer"), run.upload, run)


@apply.register
def distillation(step: Distillation, network: Network, run: Run) -> Network:
    teacher = run.upload if step.teacher == "upload" else run.network_of(step.teacher)
    student = student_of(step.student, network, run)
    check_fits(student, teacher)
    if network.steps and step.student != "current":
        run.warn(OTHER_STUDENT)
    layers = selected(step, trainable_layers(student.module)) if step.only or step.exclude else None
    pruned = PrunedWeights(student)
    if step.start == "scratch":
        initialize(student.module, layers, run.seed)
        pruned.hold_in(student.module)
    # Where validation may not look at labels, it compares with the upload: here with the teacher.
    teach(step, student, replace(run, upload=teacher), layers, partial(pruned.hold_in, student.module))
    return student
