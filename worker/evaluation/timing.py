"""How long one call of each file takes, all files in one process, so that they meet the same machine.

A *round* calls every file once, in a new random order; sample i of every file is of round i. Before the clock starts,
a file is called once untimed, so that its own caches are warm and not the previous file's. Where one call is shorter
than 50 microseconds, a sample is the mean of a burst of calls. Wall clock, and the CPU time of the process beside it;
garbage collector off, raw samples kept. The upload is in each round twice: what its samples differ by is noise.
"""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import NamedTuple

import torch

from app.core.inputs import InputSpec, tensor_inputs
from app.core.intervals import percentile_95
from app.core.measurements import Latency
from app.core.messages import Progress
from app.core.tasks import Time, Timings, WrittenFile
from worker.evaluation import verification
from worker.evaluation.energy import counters, energy_of
from worker.evaluation.environment import environment
from worker.evaluation.runtimes import Runtime
from worker.inputs import random_inputs

# Of all files together, and the fewest rounds; a brief timing tells files apart, and no more.
SECONDS_FOR_ALL, FEWEST_ROUNDS = 6.0, 30
SECONDS_IN_BRIEF, FEWEST_IN_BRIEF = 2.0, 15
MOST_ROUNDS = 500
SHORT_CALL_NS = 50_000
WARM_UP_SECONDS = 1.0
_WARM_UP_WINDOW = 5
_STEADY = 0.05
AGAIN = "the upload once more"


@dataclass(frozen=True)
class Subject:
    """One file, bound to its inputs."""

    path: str
    call: Callable[[], object]
    calls_in_a_sample: int
    nanoseconds: float

    def sample(self) -> "Sample":
        call = self.call
        call()
        calls = range(self.calls_in_a_sample)
        cpu_started, started = process_time_ns(), perf_counter_ns()
        for _ in calls:
            call()
        wall, cpu = perf_counter_ns() - started, process_time_ns() - cpu_started
        return Sample(wall / self.calls_in_a_sample / 1e6, cpu / self.calls_in_a_sample / 1e6)


class Sample(NamedTuple):
    """Milliseconds of one call: on the wall, and of all threads together."""

    wall: float
    cpu: float


def time_files(task: Time, folder: Path, report: Callable[[Progress], None]) -> Timings:
    """Times all files at each batch size; one that goes by several names is timed once.

    Without `measure.repeats` the number of rounds follows from a budget of about six seconds, but is 30 at least
    and 500 at most; in brief, of two seconds and 15 at least.
    """
    if not task.files:
        return Timings(latencies={}, environment=environment(task.measure.threads))
    assert task.model.inputs is not None
    inputs = tensor_inputs(task.model.inputs)
    threads, sizes = task.measure.threads, task.measure.batch_sizes
    files = {file.path: file for file in task.files}
    latencies: dict[str, list[Latency]] = {path: [] for path in (*files, AGAIN)}
    for position, size in enumerate(sizes):
        report(Progress(fraction=position / len(sizes), message=f"Timing {len(files)} files, batch size {size}"))
        # Afresh, since some kernels are laid out for the first shape that they get.
        runtimes = {path: verification.load(file, folder, task.model.inputs, threads) for path, file in files.items()}
        subjects = [_warmed_up(file, runtimes[path], inputs, size, task.seed) for path, file in files.items()]
        subjects += [replace(subject, path=AGAIN) for subject in subjects if files[subject.path].role == "upload"]
        rounds = task.measure.repeats or _affordable_rounds(subjects, len(sizes), brief=task.brief)
        samples = _interleaved(subjects, rounds, random.Random(task.seed + size))  # noqa: S311
        for subject in subjects:
            latencies[subject.path].append(_latency(subject, samples[subject.path], size, threads))
    return Timings(
        latencies={file.name: tuple(latencies[file.path]) for file in task.files},
        again=next(iter(latencies[AGAIN]), None),
        environment=environment(threads),
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection and no gradients while the clock runs."""
    gc.collect()
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        gc.enable()


def _warmed_up(file: WrittenFile, runtime: Runtime, inputs: Sequence[InputSpec], size: int, seed: int) -> Subject:
    tensors = random_inputs(inputs, size, seed)
    with _undisturbed():
        verification.run(file, runtime, tensors)
        call = runtime.bind(tensors)
        nanoseconds = _steady_nanoseconds(call)
    return Subject(file.path, call, max(1, ceil(SHORT_CALL_NS / nanoseconds)), nanoseconds)


def _steady_nanoseconds(call: Callable[[], object]) -> float:
    """Calls until two windows of five calls in a row agree within 5 %, or a second has passed; the last median."""
    deadline = perf_counter_ns() + WARM_UP_SECONDS * 1e9
    previous, current = 0.0, _window(call)
    while abs(current - previous) > _STEADY * current and perf_counter_ns() < deadline:
        previous, current = current, _window(call)
    return current


def _window(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_WARM_UP_WINDOW):
        started = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - started)
    return max(1.0, float(median(times)))


def _affordable_rounds(subjects: Sequence[Subject], parts: int, *, brief: bool) -> int:
    """For one of so many equal `parts` of the whole timing."""
    seconds, fewest = (SECONDS_IN_BRIEF, FEWEST_IN_BRIEF) if brief else (SECONDS_FOR_ALL, FEWEST_ROUNDS)
    one_round = sum(subject.nanoseconds * (subject.calls_in_a_sample + 1) for subject in subjects)
    return max(fewest, min(MOST_ROUNDS, int(seconds / parts * 1e9 / one_round)))


def _interleaved(subjects: Sequence[Subject], rounds: int, generator: random.Random) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {subject.path: [] for subject in subjects}
    order = list(subjects)
    with _undisturbed():
        for _ in range(rounds):
            generator.shuffle(order)
            for subject in order:
                samples[subject.path].append(subject.sample())
    return samples


def _latency(subject: Subject, samples: Sequence[Sample], batch_size: int, threads: int) -> Latency:
    wall = tuple(sample.wall for sample in samples)
    middle, cpu = median(wall), median(sample.cpu for sample in samples)
    with _undisturbed():
        energy = energy_of(subject.call, cpu, counters())
    return Latency(
        batch_size=batch_size,
        threads=threads,
        median=middle,
        p95=percentile_95(wall),
        samples=wall,
        cpu_median=cpu,
        examples_per_second=1000 * batch_size / middle,
        energy=energy,
    )
