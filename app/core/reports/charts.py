"""Charts as SVG, drawn by Vega-Lite. Colours are CSS variables of the page, so that they follow its light and dark.

A mark's description is what the page shows of it under the pointer: `NAME: figure`.
"""

import re
from collections.abc import Iterator, Sequence
from math import ceil, floor, log10
from typing import Any

import vl_convert
from pydantic import JsonValue

from app.core import figures
from app.core.intervals import Interval, wilson_ci95
from app.core.measurements import Measurement, Quality, Result

Specification = dict[str, Any]
Values = list[dict[str, JsonValue]]
Files = Sequence[tuple[str, str, Measurement]]
Bar = tuple[str, str, float, str]
"""Name, kind, value, and the value as it is written."""

WIDTH, ROW_HEIGHT = 250, 46
QUANTILES, MOST_TICKS = 50, 6
CHARACTER = 6.3  # the mean width of one in a label, in pixels
TIP: Specification = {"field": "tip", "type": "nominal"}
_FILL = {"upload": "var(--before)", "file": "var(--after)"}


def charts(result: Result) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element."""
    files = _files(result)
    yield "File size", drawn(bars([(n, k, m.size_bytes, figures.size(m.size_bytes)) for n, k, m in files]))
    if all(measured.latency_ms for _, _, measured in files):
        yield "Time of single calls", drawn(_latencies(files))
    if all(measured.quality for _, _, measured in files):
        yield _quality_caption(result), drawn(_qualities(files))
    work = list(_work(result))
    if len({macs for _, _, macs, _ in work}) > 1:
        yield "Multiply-accumulates for one example, by step", drawn(bars(work))


def _files(result: Result) -> Files:
    """(name, kind, measurement) of the upload and of each delivered file."""
    delivered = [(artifact.name, "file", artifact.measured) for artifact in result.artifacts]
    return [("upload", "upload", result.baseline), *delivered]


def _work(result: Result) -> Iterator[Bar]:
    if result.baseline.macs is not None:
        yield "upload", "upload", result.baseline.macs, figures.count(result.baseline.macs)
    for position, step in enumerate(result.steps, start=1):
        if step.after.macs is not None:
            name = f"{position}. {step.technique.replace('_', ' ')}"
            yield name, "file", step.after.macs, figures.count(step.after.macs)


def bars(rows: Sequence[Bar]) -> Specification:
    values: Values = [
        {"name": name, "kind": kind, "value": value, "label": label, "tip": f"{name}: {label}"}
        for name, kind, value, label in rows
    ]
    names = [name for name, _, _, _ in rows]
    mark = {
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "x": horizontal("value", "", zero=True) | {"axis": None},
            "y": vertical(names),
            "color": colour(),
            "description": TIP,
        },
    }
    return _chart(values, [mark, *labels(names)], len(rows))


def _latencies(files: Files) -> Specification:
    values: Values = []
    shown: list[float] = []
    for name, kind, measured in files:
        latency = measured.latency_ms[0]
        label = figures.milliseconds(latency.median)
        tip = f"{name}: median {label}"
        values.append({"name": name, "kind": kind, "median": latency.median, "label": label, "tip": tip})
        values.extend(_sampled(name, kind, value) for value in _quantiles(latency.samples))
        shown += _quantiles(latency.samples)
    names = [name for name, _, _ in files]
    position = logarithmic("value", "ms, logarithmic", shown)
    shared = {"y": vertical(names), "color": colour(), "description": TIP}
    strip = {
        "mark": {"type": "tick", "height": 14, "thickness": 1.5, "opacity": 0.45},
        "encoding": {"x": position, **shared},
    }
    median = {
        "mark": {"type": "point", "shape": "diamond", "size": 50, "filled": True, "stroke": "var(--paper)"},
        "encoding": {"x": position | {"field": "median"}, **shared},
    }
    return _chart(values, [strip, median, *labels(names)], len(files))


def _sampled(name: str, kind: str, value: float) -> dict[str, JsonValue]:
    return {"name": name, "kind": kind, "value": value, "tip": f"{name}: {figures.milliseconds(value)}"}


def _qualities(files: Files) -> Specification:
    judged = [(name, kind, measured.quality) for name, kind, measured in files if measured.quality]
    values = [_judged_value(name, kind, quality) for name, kind, quality in judged]
    unit = "" if judged[0][2].metric == "mean_squared_error" else "%"
    names = [name for name, _, _ in files]
    position, shared = horizontal("low", unit), {"y": vertical(names), "color": colour(), "description": TIP}
    spread = {
        "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45},
        "encoding": {"x": position, "x2": {"field": "high"}, **shared},
    }
    point = {
        "mark": {"type": "point", "size": 60, "filled": True, "opacity": 1},
        "encoding": {"x": position | {"field": "value"}, **shared},
    }
    return _chart(values, [spread, point, *labels(names)], len(files))


def _judged_value(name: str, kind: str, quality: Quality) -> dict[str, JsonValue]:
    scale = 1 if quality.metric == "mean_squared_error" else 100
    low, high = _interval(quality)
    figure = figures.quality(quality.metric, quality.value)
    shown = {"value": scale * quality.value, "low": scale * low, "high": scale * high}
    between = f", 95 % {figures.quality(quality.metric, low)} to {figures.quality(quality.metric, high)}"
    tip = f"{name}: {figure}{between if low < high else ''}"
    return {"name": name, "kind": kind, "label": figure, "tip": tip, **shown}


def _interval(quality: Quality) -> Interval:
    if quality.metric == "mean_squared_error":
        return quality.value, quality.value
    return wilson_ci95(quality.value * quality.examples, quality.examples)


def _quality_caption(result: Result) -> str:
    assert result.compressed.quality is not None
    metric = result.compressed.quality.metric.replace("_", " ").capitalize()
    return metric if metric.startswith("Mean") else f"{metric}, with 95 % intervals"


def _quantiles(samples: Sequence[float]) -> list[float]:
    """One sample for every 2 % of calls; all of them where there are fewer than fifty."""
    ordered = sorted(samples)
    count = min(QUANTILES, len(ordered))
    return [ordered[int((position + 0.5) * len(ordered) / count)] for position in range(count)]


def _chart(values: Values, layers: list[Specification], rows: int) -> Specification:
    return styled(values, layers, WIDTH, ROW_HEIGHT * rows)


def styled(values: Values, layers: list[Specification], width: int, height: int) -> Specification:
    """As all charts of a report look."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": values},
        "width": width,
        "height": height,
        "layer": layers,
        "background": None,
        "padding": 2,
        "config": {
            "font": "sans-serif",
            "view": {"stroke": None},
            "axis": {
                "labelColor": "var(--quiet)", "titleColor": "var(--quiet)", "gridColor": "var(--line)",
                "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "domain": False, "ticks": False,
            },
        },
    }  # fmt: skip


def horizontal(field: str, title: str, *, zero: bool = False) -> Specification:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"zero": zero, "nice": True},
        "axis": {"title": title, "tickCount": 4, "labelFlush": True, "format": "~f"},
    }


def logarithmic(field: str, title: str, shown: Sequence[float]) -> Specification:
    """From the last round number below all values to the first above, with a few round numbers between."""
    exponents = range(floor(log10(min(shown))), ceil(log10(max(shown))) + 1)
    round_numbers = [digit * 10.0**exponent for exponent in exponents for digit in (1, 2, 5)]
    start = max(number for number in round_numbers if number <= min(shown))
    end = min(number for number in round_numbers if number >= max(shown))
    between = [number for number in round_numbers if start <= number <= end]
    powers = [10.0**exponent for exponent in exponents if start <= 10.0**exponent <= end]
    return horizontal(field, title) | {
        "scale": {"type": "log", "domain": [start, end]},
        "axis": {
            "title": title,
            "values": between if len(between) <= MOST_TICKS else powers,
            "labelFlush": True,
            "format": "~f",
        },
    }


def vertical(names: Sequence[str]) -> Specification:
    """Rows without an axis: their names stand above them, so that long ones don't take the chart's width."""
    return {"field": "name", "type": "nominal", "axis": None, "sort": list(names)}


def labels(names: Sequence[str], room: int = 80) -> Iterator[Specification]:
    """Above each row its name on the left and its figure on the right, which takes `room`. Of a long name the end is
    kept: it tells layers and files apart."""
    fitting = int((WIDTH - room) / CHARACTER)
    cut = f"length(datum.name) > {fitting} ? '…' + slice(datum.name, {1 - fitting}) : datum.name"
    common = {"type": "text", "fontSize": 11.5, "dy": -16, "fill": "var(--ink)"}
    name = {"align": "left", "x": 0, "limit": WIDTH - room}
    figure = {"align": "right", "x": WIDTH, "fontWeight": 600}
    for style, field in ((name, "shown"), (figure, "label")):
        yield {
            "transform": [{"filter": "isValid(datum.label)"}, {"calculate": cut, "as": "shown"}],
            "mark": common | style,
            "encoding": {"y": vertical(names), "text": {"field": field, "type": "nominal"}},
        }


def colour() -> Specification:
    return {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(_FILL), "range": list(_FILL.values())},
    }


def drawn(specification: Specification) -> str:
    """The size is left to the page: only the shape (`viewBox`) stays. Places are rounded to hundredths of a pixel."""
    svg: str = vl_convert.vegalite_to_svg(specification)
    svg = re.sub(r' width="\d+(\.\d+)?" height="\d+(\.\d+)?"', "", svg, count=1)
    return re.sub(r' (?:d|transform)="[^"]*"', lambda place: re.sub(r"(\.\d\d)\d+", r"\1", place[0]), svg)
