"""What a recipe came to beside the upload, in a few words."""

from app.core import figures
from app.core.measurements import Metric
from app.core.studies.comparing import Comparison


def against_upload(comparison: Comparison, size_bytes: int, speedup: float | None, quality: float | None) -> str:
    """`147 kB → 23.2 kB, 4.92× as fast, accuracy 97.4 % → 97.2 %`, as far as it is known."""
    baseline, metric = comparison.baseline, comparison.metric
    assert baseline is not None
    parts = [f"{figures.size(baseline.size_bytes)} → {figures.size(size_bytes)}"]
    if speedup:
        parts.append(f"{figures.ratio(speedup)} as fast")
    if quality is not None and metric and baseline.quality is not None:
        before, after = figures.quality(metric, baseline.quality), figures.quality(metric, quality)
        parts.append(f"{called(metric)} {before} → {after}")
    return ", ".join(parts)


def called(metric: Metric | None) -> str:
    return (metric or "quality").replace("_", " ")
