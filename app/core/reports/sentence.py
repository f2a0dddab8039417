"""The whole result in one sentence: the first thing in every report."""

from app.core import figures
from app.core.measurements import Comparison, Environment, Measurement, Quality, Result, Speedup
from app.core.result_warnings import NOTABLE_SPEEDUP


def sentence(result: Result) -> str:
    """`4.81 MB → 1.22 MB, 4.1× faster on one thread of this CPU, of which 2.0× is the runtime; accuracy 98.3 % → …`"""
    before, after, comparison = result.baseline, result.compressed, result.comparison
    parts = [f"{figures.size(before.size_bytes)} → {figures.size(after.size_bytes)}"]
    if comparison.speedup is not None:
        parts.append(_speed(comparison.speedup, result.environment))
    if not before.latency_ms:
        parts.append("of weights without their network, so that neither speed nor quality could be measured")
    quality = _quality(before, after, comparison)
    return f"{', '.join(parts)}{f'; {quality}' if quality else ''}."


def _speed(speedup: Speedup, environment: Environment) -> str:
    threads = "one thread" if environment.threads == 1 else f"{environment.threads} threads"
    low, high = speedup.ci95
    if low <= 1 <= high:
        return f"as fast as before on {threads} of this CPU"
    if speedup.median < 1:
        return f"{figures.ratio(1 / speedup.median)} slower on {threads} of this CPU"
    return f"{figures.ratio(speedup.median)} faster on {threads} of this CPU{_share_of_runtime(speedup)}"


def _share_of_runtime(speedup: Speedup) -> str:
    if speedup.runtime_only < NOTABLE_SPEEDUP:
        return ""
    if speedup.compression_only < NOTABLE_SPEEDUP:
        return ", all of it by the runtime"
    return f", of which {figures.ratio(speedup.runtime_only)} is the runtime"


def _quality(before: Measurement, after: Measurement, comparison: Comparison) -> str | None:
    if before.quality is None or after.quality is None:
        return None
    metric = after.quality.metric
    if metric == "agreement":
        return f"agrees with the upload on {figures.quality(metric, after.quality.value)} of {examples(after.quality)}"
    values = f"{figures.quality(metric, before.quality.value)} → {figures.quality(metric, after.quality.value)}"
    text = f"{metric.replace('_', ' ')} {values} on {examples(after.quality)}"
    interval = comparison.quality_change_ci95
    return text if interval is None else f"{text}, 95 % interval {figures.change_interval(metric, interval)}"


def examples(quality: Quality) -> str:
    return f"{quality.examples:,} {'random inputs' if quality.synthetic else 'test examples'}"
