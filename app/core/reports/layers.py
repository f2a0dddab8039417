"""What became of the network's layers: their sizes, the error of their weights, and how the weights lie."""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from app.core import figures
from app.core.details import DetailTable
from app.core.layer_changes import LayerChange, WeightHistogram
from app.core.measurements import Result
from app.core.reports.charts import (
    ROW_HEIGHT,
    TIP,
    WIDTH,
    Bar,
    Specification,
    Values,
    bars,
    colour,
    drawn,
    horizontal,
    labels,
    styled,
    vertical,
)
from app.core.reports.tables import Cells

MOST_ROWS = 12
HISTOGRAM_HEIGHT = 70
# Columns of steps' own tables that say in decibels what rounding has cost each layer.
_ERRORS = {
    "weight sqnr db": "signal to rounding noise of each layer's weights",
    "sqnr db": "signal to noise of the answers where each layer alone is rounded",
}


def layer_charts(result: Result) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element."""
    largest = sorted(result.layers, key=lambda layer: -layer.before)[:MOST_ROWS]
    if any(layer.before != layer.after for layer in result.layers):
        yield _named("Parameters of each layer, before and after", largest, result.layers), drawn(_sizes(largest))
    for caption, errors in _errors(result):
        worst = sorted(errors, key=lambda error: error[2])[:MOST_ROWS]
        yield _named(f"{caption}, in dB: more is better", worst, errors), drawn(bars(worst))


def weight_charts(result: Result) -> Iterator[tuple[str, str]]:
    """One for each of the largest layers: pairs of a caption and an SVG element."""
    for layer in result.layers:
        if layer.weights is not None and _has_changed(layer.weights):
            yield _caption(layer.name, layer.weights), drawn(_histogram(layer.weights))


def layer_table(result: Result) -> Cells | None:
    """None where no layer has changed."""
    if all(layer.before == layer.after == layer.nonzero_after for layer in result.layers):
        return None
    rows = tuple(
        (layer.name, layer.type, f"{layer.before:,}", f"{layer.after:,}", figures.percent(_zeros(layer), 0))
        for layer in result.layers
    )
    return Cells("Parameters of each layer", ("Layer", "Kind", "Before", "After", "Of them zero"), rows)


def _named(caption: str, shown: Sequence[object], of: Sequence[object]) -> str:
    return caption if len(shown) == len(of) else f"{caption}; {len(shown)} of {len(of)} layers"


def _zeros(layer: LayerChange) -> float:
    return 1 - layer.nonzero_after / layer.after if layer.after else 0.0


def _sizes(layers: Sequence[LayerChange]) -> Specification:
    """Two bars a row."""
    names = [layer.name for layer in layers]
    values: Values = [row for layer in layers for row in _pair(layer)]
    values += [{"name": layer.name, "label": _shrunk(layer)} for layer in layers]
    pair = [
        {
            "transform": [{"filter": f"datum.kind === '{kind}'"}],
            "mark": {"type": "bar", "height": 7, "yOffset": offset},
            "encoding": {
                "x": horizontal("value", "", zero=True) | {"axis": None},
                "y": vertical(names),
                "color": colour(),
                "description": TIP,
            },
        }
        for kind, offset in (("upload", -4), ("file", 4))
    ]
    return styled(values, [*pair, *labels(names, room=150)], WIDTH, ROW_HEIGHT * len(layers))


def _pair(layer: LayerChange) -> Iterator[dict[str, JsonValue]]:
    for kind, count, when in (("upload", layer.before, "before"), ("file", layer.after, "after")):
        yield {"name": layer.name, "kind": kind, "value": count, "tip": f"{layer.name}: {count:,} {when}"}


def _shrunk(layer: LayerChange) -> str:
    before, after = figures.count(layer.before), figures.count(layer.after)
    return before if before == after else f"{before} → {after}"


def _errors(result: Result) -> Iterator[tuple[str, list[Bar]]]:
    """Of the steps that say so in a table of theirs, and of the best file where that has one."""
    told = [(step.technique.replace("_", " ").capitalize(), step.details) for step in result.steps]
    told += [(each.name, each.details) for each in result.artifacts if each.name == result.best]
    for name, tables in told:
        for table in tables:
            for column in _ERRORS.keys() & set(table.columns):
                if errors := _errors_in(table, column):
                    yield f"{name}: {_ERRORS[column]}", errors


def _errors_in(table: DetailTable, column: str) -> list[Bar]:
    position = table.columns.index(column)
    found = (_error(str(row[0]), row[position]) for row in table.rows)
    return [error for error in found if error is not None]


def _error(name: str, decibels: object) -> Bar | None:
    if not isinstance(decibels, int | float):
        return None
    return name, "file", float(decibels), f"{decibels:.1f} dB"


def _has_changed(weights: WeightHistogram) -> bool:
    return weights.before != weights.after


def _caption(name: str, weights: WeightHistogram) -> str:
    if weights.zeros_after - weights.zeros_before < 0.001:
        return name
    return f"{name}: {figures.percent(weights.zeros_after, 0)} zero"


def _histogram(weights: WeightHistogram) -> Specification:
    """As shares of those that aren't zero, so that a layer that lost half of its weights has its shape compared."""
    across = horizontal("from", "")
    across["axis"] |= {"format": "~g", "grid": False}
    bins = [
        {
            "transform": [{"filter": f"datum.kind === '{kind}'"}],
            "mark": {"type": "bar", "opacity": opacity, "binSpacing": 0},
            "encoding": {
                "x": across,
                "x2": {"field": "to"},
                "y": {"field": "value", "type": "quantitative", "axis": None, "stack": None},
                "y2": {"datum": 0},
                "color": colour(),
                "description": TIP,
            },
        }
        for kind, opacity in (("upload", 0.6), ("file", 0.55))
    ]
    values = [*_bins(weights, "upload", "before", weights.before), *_bins(weights, "file", "after", weights.after)]
    return styled(values, bins, WIDTH, HISTOGRAM_HEIGHT)


def _bins(weights: WeightHistogram, kind: str, when: str, counts: Sequence[int]) -> Iterator[dict[str, JsonValue]]:
    width = (weights.high - weights.low) / len(counts)
    for number, count in enumerate(counts):
        start, end = weights.low + number * width, weights.low + (number + 1) * width
        tip = f"{when}: {count:,} weights from {start:.3g} to {end:.3g}"
        yield {"from": start, "to": end, "value": count / max(1, sum(counts)), "kind": kind, "tip": tip}
