"""What a job of kind `sensitivity` found, as text."""

from collections.abc import Iterator, Sequence

from app.core import figures
from app.core.measurements import Metric
from app.core.sensitivities import ChangedBy, LayerSensitivity, Sensitivity

TITLES: dict[ChangedBy, str] = {
    "structured_pruning": "Units taken away",
    "magnitude_pruning": "Weights set to zero",
    "weight_quantization": "Weights in fewer bits",
}
TOLD: dict[ChangedBy, float] = {"structured_pruning": 0.5, "magnitude_pruning": 0.5, "weight_quantization": 4}


def summary(result: Sensitivity) -> str:
    """What the network answers now, and which layer bears each kind of change least."""
    quality = result.baseline
    where = "random inputs" if quality.synthetic else "training examples"
    name = quality.metric.replace("_", " ").capitalize()
    parts = [f"{name} {figures.quality(quality.metric, quality.value)} on {quality.examples:,} {where}"]
    for technique, told in TOLD.items():
        of = [row for row in result.layers if (row.technique, row.amount) == (technique, told)]
        if of:
            parts.append(f"{amount(technique, told)} {_worst(of, quality.metric)}")
    return "; ".join(parts) + "."


def _worst(rows: Sequence[LayerSensitivity], metric: Metric) -> str:
    sign = 1 if metric == "mean_squared_error" else -1
    worst = max(rows, key=lambda row: sign * row.quality_change)
    if sign * worst.quality_change <= 0:
        return "cost nothing in any layer"
    return f"cost most in {worst.layer} ({figures.change(metric, worst.quality_change)})"


def amount(technique: ChangedBy, of: float) -> str:
    if technique == "weight_quantization":
        return f"{of:.0f} bits"
    return f"{100 * of:.0f} % {'fewer units' if technique == 'structured_pruning' else 'zeros'}"


def table(result: Sensitivity) -> Iterator[tuple[str, ...]]:
    """A layer, and what each change to it does to the quality."""
    metric, columns = result.baseline.metric, columns_of(result)
    for layer in dict.fromkeys(row.layer for row in result.layers):
        rows = [row for row in result.layers if row.layer == layer]
        changes = {(row.technique, row.amount): change(row, metric) for row in rows}
        yield (layer, *(changes.get(column, "") for column in columns))


def change(row: LayerSensitivity, metric: Metric) -> str:
    """Without its unit, which `title` names."""
    return figures.change(metric, row.quality_change).removesuffix(" points")


def title(metric: Metric) -> str:
    return f"Change of {metric.replace('_', ' ')}{'' if metric == 'mean_squared_error' else ', in points'}"


def columns_of(result: Sensitivity) -> list[tuple[ChangedBy, float]]:
    """Techniques in turn, each from the slightest change to the greatest."""
    found = {(row.technique, row.amount) for row in result.layers}
    greatest_last = {technique: -1 if technique == "weight_quantization" else 1 for technique in TITLES}
    return sorted(found, key=lambda one: (list(TITLES).index(one[0]), greatest_last[one[0]] * one[1]))
