"""Facts and a job -> what it would come to. What it says of time follows from the rates that it is given."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.expected import ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.job_options import Goal
from app.core.measurements import OutputFormat, Predicted, PredictedFile, Prediction
from app.core.plans.rates import Rates, files_worked_on
from app.core.plans.sizes import size_in
from app.core.plans.work import PASSES, after_each, batch_size, training_work
from app.core.recipes import Step
from app.core.wanted_files import SUFFIXES, WantedFiles

_MEBIBYTE = 1 << 20
_BYTES_OF_FLOAT = 4
# A process with torch and the runtimes in it, and how often it holds a network: as uploaded, changed, traced, written.
EMPTY_PROCESS_MB, COPIES = 280, 5
# Beside each weight that is trained: its gradient, and two moments of the optimizer.
STATES_IN_TRAINING = 3


@dataclass(frozen=True)
class Forecast:
    """`networks` are those that each step leaves."""

    networks: tuple[ExpectedNetwork, ...]
    prediction: Prediction
    guesses: tuple[str, ...]


def forecast(facts: ModelFacts, wanted: WantedFiles, minimize: Goal, examples: int, rates: Rates) -> Forecast:
    """`examples` are those for training."""
    upload = ExpectedNetwork.of(facts)
    networks = after_each(upload, wanted.steps)
    last = networks[-1] if networks else upload
    files = _files(last, wanted)
    best = min(files, key=lambda file: file.size_bytes) if minimize == "size" else files[0]
    predicted = Predicted(
        size_bytes=best.size_bytes,
        parameters=round(last.parameters),
        nonzero_parameters=round(last.nonzero),
        macs=None if facts.macs is None else round(last.macs),
        seconds=_seconds(networks, wanted, files, examples, rates),
        memory_mb=_memory_mb(upload, networks, wanted.steps),
    )
    return Forecast(tuple(networks), Prediction(predicted=predicted, files=files), last.guesses)


def _files(network: ExpectedNetwork, wanted: WantedFiles) -> tuple[PredictedFile, ...]:
    """What is tried beside others may turn out not to be worth keeping."""
    plain = [(f"model{SUFFIXES[output]}", output, network) for output in wanted.outputs]
    tried = [
        (f"model.{each.precision}{SUFFIXES[each.output]}", each.output, [network, *after_each(network, each.steps)][-1])
        for each in wanted.candidates
    ]
    return tuple(_file(*named) for named in tried or plain)


def _file(name: str, output: OutputFormat, network: ExpectedNetwork) -> PredictedFile:
    return PredictedFile(name=name, format=output, size_bytes=size_in(network, output))


def _seconds(
    networks: Sequence[ExpectedNetwork],
    wanted: WantedFiles,
    files: Sequence[PredictedFile],
    examples: int,
    rates: Rates,
) -> float:
    """Training to its last epoch; it may stop earlier."""
    steps = wanted.steps
    work = sum(
        training_work(step, network, examples, step.epochs_at_most())
        for step, network in zip(steps, networks, strict=True)
    )
    formats = [file.format for file in files]
    of_files = files_worked_on(len(steps), formats) * rates.seconds_each_file
    return round(work / rates.work_in_second + sum(rates.step(step.technique) for step in steps) + of_files, 1)


def _memory_mb(upload: ExpectedNetwork, networks: Sequence[ExpectedNetwork], steps: Sequence[Step]) -> float:
    held = upload.parameters * COPIES
    trained = [
        network.parameters * STATES_IN_TRAINING + PASSES * network.activations * batch_size(step)
        for step, network in zip(steps, networks, strict=True)
        if step.epochs_at_most()
    ]
    return round(EMPTY_PROCESS_MB + (held + max(trained, default=0.0)) * _BYTES_OF_FLOAT / _MEBIBYTE, 1)
