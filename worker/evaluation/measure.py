"""Written files, loaded again: one in a process that has done nothing else, or several in one process."""

import resource
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from app.core.errors import Problem, ProblemBody
from app.core.inputs import InputSpec, tensor_inputs
from app.core.messages import Progress
from app.core.tasks import FileMeasurement, Judge, Judged, Measure, WrittenFile
from worker.evaluation import verification
from worker.evaluation.answers import Array
from worker.evaluation.arithmetic import arithmetic_of
from worker.evaluation.examples import Examples, examples_for
from worker.evaluation.quality import answer_all, change_ci95, check_answers, judge, paired
from worker.evaluation.runtimes import Runtime
from worker.evaluation.sample import write_sample
from worker.inputs import random_inputs

UPLOAD_ANSWERS = Path("outputs", "upload-answers.npz")


def measure(task: Measure, folder: Path, report: Callable[[Progress], None]) -> FileMeasurement:
    """Loads the file, judges its answers on the test examples, and compares it with its probe.

    The file of role `upload` must be measured first: it leaves its answers in `outputs/upload-answers.npz`, and the
    other files are compared with them.
    """
    report(Progress(fraction=0, message=f"Loading {task.file.name} afresh"))
    runtime, load_ms, peak_memory_mb = _load_and_run_once(task, folder)
    examples = examples_for(_inputs(task), task.dataset, folder, task.seed)
    found = _judged(task, runtime, examples, folder, report)
    return found.model_copy(update={"peak_memory_mb": peak_memory_mb, "load_ms": load_ms})


def judge_all(task: Judge, folder: Path, report: Callable[[Progress], None]) -> Judged:
    """The upload first, as for `measure`; what fails on it, fails on all."""
    found: list[FileMeasurement] = []
    refused: dict[str, ProblemBody] = {}
    alone = [Measure(model=task.model, dataset=task.dataset, file=file, seed=task.seed) for file in task.files]
    examples = examples_for(_inputs(alone[0]), task.dataset, folder, task.seed)
    for number, one in enumerate(alone):
        file = one.file
        report(Progress(fraction=number / len(alone), message=f"Judging {file.name}"))
        try:
            found.append(_judged(one, _loaded(one, folder), examples, folder, lambda _progress: None))
        except Problem as problem:
            if file.role == "upload":
                raise
            traceback.print_exc()
            refused[file.name] = problem.body()
    return Judged(found=tuple(found), refused=refused)


def _judged(
    task: Measure, runtime: Runtime, examples: Examples, folder: Path, report: Callable[[Progress], None]
) -> FileMeasurement:
    file, inputs = task.file, _inputs(task)
    answers = answer_all(
        lambda batch: verification.run(file, runtime, batch),
        examples,
        lambda done: report(Progress(fraction=done, message=f"{file.name} answers {examples.count} test examples")),
    )
    if file.role == "upload" and not examples.synthetic:
        check_answers(answers)
    verified = verification.verify(file, runtime, folder, inputs)
    reference = _upload_answers(file, answers, folder)
    return FileMeasurement(
        name=file.name,
        verified=verified,
        quality=judge(answers, reference, examples),
        quality_change_ci95=None if file.role == "upload" else change_ci95(answers, reference, examples),
        paired=None if file.role == "upload" else paired(answers, reference, examples),
        arithmetic=arithmetic_of(file, folder),
        sample=write_sample(file, runtime, folder, inputs) if file.role == "artifact" else None,
    )


def _inputs(task: Measure) -> Sequence[InputSpec]:
    assert task.model.inputs is not None
    return tensor_inputs(task.model.inputs)


def _loaded(task: Measure, folder: Path) -> Runtime:
    assert task.model.inputs is not None
    return verification.load(task.file, folder, task.model.inputs)


def _load_and_run_once(task: Measure, folder: Path) -> tuple[Runtime, float, float]:
    """The loaded file, the milliseconds that loading took, and by how many megabytes (1e6 bytes) loading it and
    answering one example raised the peak of this process's resident memory.

    The runtimes' own libraries are loaded before, so they don't count; those of their pages that only this file's
    kernels touch do.
    """
    one_example = random_inputs(_inputs(task), 1, task.seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = perf_counter()
    runtime = _loaded(task, folder)
    load_ms = (perf_counter() - started) * 1000
    verification.run(task.file, runtime, one_example)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return runtime, load_ms, (after - before) * 1024 / 1e6


def _upload_answers(file: WrittenFile, answers: Array, folder: Path) -> Array:
    path = folder / UPLOAD_ANSWERS
    if file.role == "upload":
        np.savez(path, answers=answers)
        return answers
    with np.load(path, allow_pickle=False) as stored:
        reference: Array = stored["answers"]
        return reference
