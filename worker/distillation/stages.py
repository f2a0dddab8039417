"""Progressive distillation: from the input to the answers, each stage with a goal that is harder than the last.

Stage k teaches the first k of the intermediate values that student and teacher have in common, the deepest one new.
The whole network learns its answers afterwards. After Wang et al., Progressive Blockwise Knowledge Distillation for
Neural Network Acceleration, 2018, and the first stage of FitNets; unlike there, earlier blocks go on learning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.recipes import Distillation
from worker.distillation.hints import Hints
from worker.distillation.lesson import Lesson
from worker.distillation.lessons import Lessons


@dataclass(frozen=True)
class Stage:
    """The last one teaches answers, and what `lessons` it has beside them; those before nothing but their lessons."""

    options: Distillation
    lessons: Sequence[Lesson]
    is_last: bool


def stages_of(step: Distillation, lessons: Lessons) -> list[Stage]:
    if not step.progressive or lessons.hints is None:
        return [Stage(step, lessons.beside_answers, True)]
    seconds = step.seconds and step.seconds / 2
    last = step.model_copy(update={"seconds": seconds})
    return [*_early(step, lessons.hints, seconds), Stage(last, lessons.beside_answers, True)]


def _early(step: Distillation, hints: Hints, seconds: float | None) -> list[Stage]:
    """They share the step's epochs, with at least one each, and these seconds. None ends before: what they learn isn't
    what validation judges."""
    count = len(hints.pairs)
    shared = {
        "epochs": max(1, step.epochs // count),
        "seconds": seconds and seconds / count,
        "early_stop": False,
    }
    options = step.model_copy(update=shared)
    return [Stage(options, [hints.up_to(depth)], False) for depth in range(1, count + 1)]
