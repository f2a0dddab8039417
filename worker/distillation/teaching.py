"""A student's training: its answers and what is taught beside them, after the stages where they are asked for."""

from collections.abc import Callable, Collection
from dataclasses import replace

from app.core.recipes import Distillation
from worker.distillation.answers import AnswerLoss, LabelsUsed, kind_of_answers
from worker.distillation.hints import RegressorTraining
from worker.distillation.lessons import lessons_of
from worker.distillation.objective import DistillationObjective
from worker.distillation.stages import stages_of
from worker.distillation.teacher import Teacher
from worker.network import Network
from worker.run import Run
from worker.training import train
from worker.training.objectives import first_examples


def teach(
    step: Distillation, student: Network, run: Run, layers: Collection[str] | None, hold_zeros: Callable[[], None]
) -> None:
    """Changes the student in place. `run.upload` is the teacher; `layers` names those that may learn (None: all);
    `hold_zeros` is called after each update."""
    lessons = lessons_of(step, student, run.upload, run.seed)
    answers, teacher = _answer_loss(step, student, run), Teacher(run.upload.module, _rows(run))
    regressors = RegressorTraining(lessons.hints)
    stages = stages_of(step, lessons)

    def after_step() -> None:
        hold_zeros()
        regressors.step()

    for number, stage in enumerate(stages):
        train(
            student.module,
            stage.options,
            DistillationObjective(student.module, teacher, answers if stage.is_last else None, stage.lessons),
            replace(run, share=_part(run.share, number, len(stages))),
            after_step=after_step,
            message="Distilling" if len(stages) == 1 else f"Distilling, stage {number + 1} of {len(stages)}",
            layers=layers,
            keep="best" if stage.is_last else "last",
            use_labels=answers.labels == "true",
        )


def _answer_loss(step: Distillation, student: Network, run: Run) -> AnswerLoss:
    examples = first_examples(run)
    return AnswerLoss(
        temperature=step.temperature,
        alpha=step.alpha,
        labels=labels_used(step, run),
        student=kind_of_answers(student.module, examples),
        teacher=kind_of_answers(run.upload.module, examples),
        label_smoothing=step.label_smoothing,
    )


def labels_used(step: Distillation, run: Run) -> LabelsUsed:
    assert run.data is not None, "a recipe that trains is refused without data"
    if step.labels != "auto":
        return step.labels
    return "none" if run.data.train.labels is None else "true"


def _rows(run: Run) -> int:
    assert run.data is not None
    return int(run.data.train.rows.max()) + 1


def _part(share: tuple[float, float], number: int, count: int) -> tuple[float, float]:
    start, width = share[0], (share[1] - share[0]) / count
    return start + number * width, start + (number + 1) * width
