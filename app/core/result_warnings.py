"""What a reader of a result must know before believing it, in plain words."""

from collections.abc import Iterator, Sequence

from app.core import figures
from app.core.errors import Problem
from app.core.intervals import Interval, wilson_ci95
from app.core.measurements import (
    Comparison,
    Latency,
    Measurement,
    Metric,
    Noise,
    OutputFormat,
    Quality,
    Speedup,
    StepResult,
)

FEW_EXAMPLES = 500
NOTABLE_ZEROS = 0.01
NOTABLE_SPEEDUP = 1.05
NOTABLE_NOISE, NOTABLE_WAITING = 1.02, 1.5
OVERFITTED_POINTS, OVERFITTED_ERROR = 5, 2
OF_A_TRIAL = (
    "This job is a trial of a search. Its quality is on the half of the test examples by which the search chooses; its "
    "files were loaded one after another in one process, and those that keep to the budget were timed with fewer "
    "repeats than usual. When the search is over, the best files are measured anew, on the other half too: see the "
    "study's report."
)


def left_out(name: str, problem: Problem) -> str:
    """Of a file that can't be had."""
    return f"{name} was left out. {problem.detail}"


def warnings_about(
    baseline: Measurement, compressed: Measurement, comparison: Comparison, written_as: OutputFormat
) -> Iterator[str]:
    """`written_as` is the format of the file that `compressed` measures."""
    if compressed.quality is not None:
        yield from _about_quality(compressed.quality, comparison)
    if written_as != "state_dict":  # which leaves zeros out
        yield from _about_zeros(baseline, compressed)
    if comparison.speedup is not None:
        yield from _about_speed(comparison.speedup)


def warnings_about_training(steps: Sequence[StepResult]) -> Iterator[str]:
    """Of the last step that trained: what an earlier one learned by heart, a later one may have unlearned."""
    step = next((step for step in reversed(steps) if step.kept_epoch is not None), None)
    if step is None or step.kept_epoch is None or step.training_metric is None:
        return
    training, test, metric = step.kept_epoch.training_quality, step.test_quality, step.training_metric
    if training is None or test is None or step.after.quality is None:
        return
    if _is_far_better(metric, training, test, step.after.quality.examples):
        yield (
            f"After {step.technique} the network does far better on the examples that it was trained on than on test "
            f"examples: {metric.replace('_', ' ')} {figures.quality(metric, training)} against "
            f"{figures.quality(metric, test)}. It has learned them by heart (overfitting). "
            "More of the same won't help: add training examples, or set `augmentation`, `weight_decay` or "
            "`label_smoothing`."
        )


def _is_far_better(metric: Metric, training: float, test: float, examples: int) -> bool:
    if metric == "mean_squared_error":
        return test > OVERFITTED_ERROR * training
    return training - test > OVERFITTED_POINTS / 100 and training > wilson_ci95(test * examples, examples)[1]


def slower_quantized(name: str, latency: Latency, float_name: str, float_latency: Latency, *, is_int8: bool) -> str:
    slower = _slower_than_float(name, latency, float_name, float_latency, is_int8=is_int8)
    return f"{slower}. The faster file is delivered beside it: take {name} for its size, {float_name} for its speed."


def outdone_by_float(name: str, latency: Latency, float_name: str, float_latency: Latency, *, is_int8: bool) -> str:
    slower = _slower_than_float(name, latency, float_name, float_latency, is_int8=is_int8)
    return f"{slower} and is no larger. So the best file is {float_name}, without the last steps of the recipe."


def _slower_than_float(name: str, latency: Latency, float_name: str, float_latency: Latency, *, is_int8: bool) -> str:
    time, float_time = figures.milliseconds(latency.median), figures.milliseconds(float_latency.median)
    return (
        f"{'int8 is' if is_int8 else 'Fewer bits are'} slower than float32 for this network on this CPU: {name} takes "
        f"{time} for a call, {float_name} takes {float_time}"
    )


def warnings_about_noise(noise: Noise | None, latencies: Sequence[Latency]) -> Iterator[str]:
    """An interval misses 1 once in twenty by chance alone, but then by little."""
    if noise is not None and (noise.ci95[0] > NOTABLE_NOISE or noise.ci95[1] < 1 / NOTABLE_NOISE):
        yield (
            f"This machine was too busy for fine differences of time: the upload timed against itself gave "
            f"{figures.ratio(noise.ratio)} (95 % interval {figures.ratio(noise.ci95[0])} to "
            f"{figures.ratio(noise.ci95[1])}), where 1 is right. Run the job again while nothing else runs."
        )
    waited = [each for each in latencies if each.threads == 1 and each.cpu_median and _waiting(each) > NOTABLE_WAITING]
    if waited:
        worst = max(waited, key=_waiting)
        yield (
            f"Other programs kept the CPU from this job: a call of {worst.batch_size} examples took "
            f"{figures.milliseconds(worst.median)}, and worked {figures.milliseconds(worst.cpu_median or 0)} of it. "
            "Compare the CPU times, or run the job again while nothing else runs."
        )


def _waiting(latency: Latency) -> float:
    """How many times as long as its CPU time a call takes."""
    return latency.median / latency.cpu_median if latency.cpu_median else 1.0


def slower_than_tried(files: Sequence[tuple[str, Latency]], float_name: str, float_latency: Latency) -> str:
    """Of files that were tried beside `float_name`, all of its format."""
    named = ", ".join(f"{name} ({figures.milliseconds(latency.median)})" for name, latency in files)
    return (
        "Fewer bits are slower than float32 for this network on this CPU in these files, of which a call takes longer "
        f"than of {float_name} ({figures.milliseconds(float_latency.median)}): {named}."
    )


def loses_quality(name: str, measurement: Measurement) -> str:
    assert measurement.quality is not None
    quality = measurement.quality
    return (
        f"{name} was passed over for the best file: its {quality.metric.replace('_', ' ')} is "
        f"{figures.quality(quality.metric, quality.value)}, too far below the best of those that were tried."
    )


def _about_quality(quality: Quality, comparison: Comparison) -> Iterator[str]:
    if quality.synthetic:
        yield (
            f"There was no data set, so quality is agreement with the upload on {quality.examples} random inputs. Real "
            "inputs can give a different figure: add a data set to know."
        )
        return
    if quality.examples < FEW_EXAMPLES:
        yield (
            f"Only {quality.examples} test examples: small changes of quality can't be seen with so few. "
            "A thousand or more would show them."
        )
    interval, change = comparison.quality_change_ci95, comparison.quality_change
    if interval and change and _is_worse(quality.metric, interval):
        yield (
            f"This recipe costs quality: {figures.change(quality.metric, change)} on {quality.examples:,} test "
            f"examples (95 % interval {figures.change_interval(quality.metric, interval)}), which is no chance. Leave "
            "sensitive layers out with `exclude`, take a gentler step, or keep to the preset `safe`."
        )
    if interval and change and interval[0] <= 0 <= interval[1]:
        yield (
            f"The change of {figures.change(quality.metric, change)} can't be told from no change on "
            f"{quality.examples:,} test examples (95 % interval {figures.change_interval(quality.metric, interval)})."
        )


def _is_worse(metric: Metric, interval: Interval) -> bool:
    """Whether all of the interval lies on the bad side of no change."""
    return interval[0] > 0 if metric == "mean_squared_error" else interval[1] < 0


def _about_zeros(baseline: Measurement, compressed: Measurement) -> Iterator[str]:
    zeros = 1 - compressed.nonzero_parameters / max(1, compressed.parameters)
    zeros_before = 1 - baseline.nonzero_parameters / max(1, baseline.parameters)
    if zeros - zeros_before > NOTABLE_ZEROS:
        yield (
            f"{figures.percent(zeros, 0)} of the weights are zero. Zeros are stored and multiplied like other values: "
            "they make neither the file smaller nor a call faster, but the file packs better (zip, gzip, zstd)."
        )


def _about_speed(speedup: Speedup) -> Iterator[str]:
    low, high = speedup.ci95
    runtime = f"even uncompressed, the network is {figures.ratio(speedup.runtime_only)} as fast there as in torch"
    if low <= 1 <= high:
        yield (
            f"The difference in speed can't be told from none (95 % interval {figures.ratio(low)} to "
            f"{figures.ratio(high)})."
        )
    elif speedup.median > 1 and speedup.compression_only < NOTABLE_SPEEDUP:
        yield f"All of the speed-up comes from the runtime: {runtime}."
    elif speedup.median > 1 and speedup.runtime_only > speedup.compression_only:
        yield (
            f"Most of the speed-up comes from the runtime: {runtime}. "
            f"Compression gives another {figures.ratio(speedup.compression_only)}."
        )
