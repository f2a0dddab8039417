"""Which lessons a step asks for, between a student and its teacher."""

from dataclasses import dataclass

from app.core.errors import Invalid
from app.core.recipes import Distillation
from worker.distillation.attention import AttentionTransfer
from worker.distillation.hints import Hints
from worker.distillation.intermediates import features_of, values_of
from worker.distillation.lesson import Lesson
from worker.distillation.matching import Pair, matched
from worker.distillation.relational import Relations
from worker.inputs import random_inputs
from worker.network import Network

# No usual width or length: so an axis of this size is the one of examples.
_EXAMPLES = 7


@dataclass(frozen=True)
class Lessons:
    """`hints` are None where the step trains no intermediate values."""

    hints: Hints | None
    beside_answers: tuple[Lesson, ...]


def lessons_of(step: Distillation, student: Network, teacher: Network, seed: int) -> Lessons:
    """Raises Invalid where a lesson has nothing to teach."""
    pairs = _pairs(student, teacher) if step.hints or step.attention or step.progressive else []
    hints = Hints.between(_found(pairs, step, "hints"), seed) if step.hints or step.progressive else None
    beside: list[Lesson] = [hints] if hints is not None and step.hints else []
    if step.attention:
        beside.append(AttentionTransfer(_found([p for p in pairs if p.teacher.places], step, "attention")))
    if step.relational:
        beside.append(Relations(features_of(student.module), features_of(teacher.module)))
    return Lessons(hints, tuple(beside))


def _pairs(student: Network, teacher: Network) -> list[Pair]:
    inputs = random_inputs(teacher.inputs, _EXAMPLES, seed=0)
    return matched(values_of(student.module, inputs), values_of(teacher.module, inputs))


def _found(pairs: list[Pair], step: Distillation, lesson: str) -> list[Pair]:
    if pairs:
        return pairs
    what = "places to look at" if lesson == "attention" else "intermediate values"
    asked = "progressive" if lesson == "hints" and not step.hints else lesson
    raise Invalid(
        f"`{asked}` compares {what} of student and teacher, and none of the student's has the name or the resolution "
        f"of one of the teacher's. Leave `{asked}` out, or name a student that is made like the teacher.",
        code="no_layer_matches",
        title="Student and teacher have no layers in common",
    )
