"""What a child does with its task: READ THIS FIRST.

compress    load the upload as an editable network -> apply each step -> write every wanted format
inspect     load the upload or the data set, and say what it is
measure     load one written file afresh and judge it       (worker/evaluation)
judge       load all written files in turn, and judge them  (worker/evaluation)
time        run all written files interleaved               (worker/evaluation)
sensitivity change one layer at a time, look at the answers (worker/sensitivity)
"""

from dataclasses import replace
from functools import singledispatch
from pathlib import Path

from app.core.job_files import ModelFile
from app.core.messages import Progress
from app.core.schemas import Schema
from app.core.tasks import (
    Compress,
    Compression,
    InspectDataset,
    InspectModel,
    Judge,
    Measure,
    MeasureSensitivity,
    Task,
    Time,
)
from worker.allocator import keep_freed_memory
from worker.data import Dataset, open_dataset
from worker.data_fit import fitting_data
from worker.evaluation.measure import judge_all, measure
from worker.evaluation.stored_weights import measure_weights
from worker.evaluation.timing import time_files
from worker.inspection import inspect_dataset, inspect_model
from worker.layer_changes import layer_changes
from worker.loading import load_network
from worker.network import Network
from worker.outputs import Outputs
from worker.run import Report, Run
from worker.sensitivity.by_layer import measure_sensitivity
from worker.steps import StepByStep

# How progress is shared out.
ORIGINAL, STEPS, ARTIFACTS = (0.1, 0.2), (0.2, 0.85), (0.85, 1.0)


@singledispatch
def perform(task: Task, folder: Path, report: Report) -> Schema:
    """Does what the task says, inside `folder`. Raises Problem for everything that its owner can act on."""
    raise NotImplementedError(f"no work is registered for {type(task).__name__}")


@perform.register
def _(task: Compress, folder: Path, report: Report) -> Compression:
    keep_freed_memory()
    report(Progress(fraction=0.0, message="Loading the model"))
    run = _loaded(task, folder, report)
    outputs = Outputs(task, folder, run)
    run.enter(ORIGINAL)
    outputs.add_original(run.upload)
    steps = StepByStep(task, folder, run, outputs)
    for position in steps.left:
        run.enter(_share_of(position, len(task.steps)), position)
        steps.take(position)
    run.enter(ARTIFACTS)
    if task.candidates:
        outputs.add_candidates(steps.network)
    else:
        outputs.add_artifacts(steps.network, steps.unquantized)
    return Compression(
        inputs=run.upload.arguments or run.upload.inputs,
        own_forward=run.upload.keeps_its_forward,
        files=tuple(outputs.files),
        steps=tuple(steps.timings),
        layers=layer_changes(run.upload, steps.network),
        warnings=tuple(run.warnings),
    )


def _loaded(task: Compress, folder: Path, report: Report) -> Run:
    dataset = open_dataset(folder, task.dataset) if task.dataset else None

    def network_of(model_id: str) -> Network:
        return load_network(task.models[model_id], folder, dataset)

    run = _run_on(task.model, dataset, folder, task.seed, report)
    return replace(run, network_of=network_of, formats=task.outputs)


def _run_on(model: ModelFile, dataset: Dataset | None, folder: Path, seed: int, report: Report) -> Run:
    network = load_network(model, folder, dataset)
    run = Run(seed, report, network, fitting_data(network, dataset) if dataset and network.runs else None)
    for warning in network.warnings:
        run.warn(warning)
    if dataset and not network.runs:
        run.warn("The data set was not used: weights without their network have no answers.")
    return run


def _share_of(position: int, steps: int) -> tuple[float, float]:
    start, end = STEPS
    width = (end - start) / steps
    return start + position * width, start + (position + 1) * width


@perform.register
def _(task: InspectModel, folder: Path, report: Report) -> Schema:
    report(Progress(fraction=0.0, message="Loading the model"))
    return inspect_model(task, folder)


@perform.register
def _(task: InspectDataset, folder: Path, report: Report) -> Schema:
    report(Progress(fraction=0.0, message="Reading the data set"))
    return inspect_dataset(task, folder)


@perform.register
def _(task: Measure, folder: Path, report: Report) -> Schema:
    return (measure_weights if task.model.is_weights_alone else measure)(task, folder, report)


@perform.register
def _(task: Judge, folder: Path, report: Report) -> Schema:
    return judge_all(task, folder, report)


@perform.register
def _(task: Time, folder: Path, report: Report) -> Schema:
    return time_files(task, folder, report)


@perform.register
def _(task: MeasureSensitivity, folder: Path, report: Report) -> Schema:
    keep_freed_memory()
    report(Progress(fraction=0.0, message="Loading the model"))
    dataset = open_dataset(folder, task.dataset) if task.dataset else None
    run = _run_on(task.model, dataset, folder, task.seed, report)
    return measure_sensitivity(run.upload, run, task.seconds)
