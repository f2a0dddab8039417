"""A study's charts: what each recipe costs against its quality, controls and the upload beside them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from app.core import figures
from app.core.choosing import error
from app.core.measurements import Metric
from app.core.reports.charts import TIP, WIDTH, Specification, Values, drawn, horizontal, logarithmic, styled
from app.core.studies.front import relative_time
from app.core.studies.schemas import Spread, Study, StudyGroup

HEIGHT = 200
WIDE_RANGE = 20
_FILL = {"upload": "var(--before)", "recipe": "var(--after)", "control": "var(--caution)"}
_SHAPES = {"upload": "square", "recipe": "circle", "control": "diamond"}


@dataclass(frozen=True)
class Mark:
    """`number` is the recipe's in the table; ranges are a standard deviation to both sides, where there are seeds."""

    name: str
    kind: str
    number: str
    cost: float
    quality: float
    cost_spread: float
    quality_spread: float


@dataclass(frozen=True)
class Cost:
    """How a cost is read off, and how it is written."""

    caption: str
    units: tuple[tuple[float, str], ...]
    of: Callable[[StudyGroup, Study], Spread | None]
    of_upload: Callable[[Study], float | None]
    written: Callable[[float], str]


def pareto_charts(study: Study) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element; none without a quality."""
    if study.metric is None:
        return
    for cost in _COSTS:
        marks = list(_marks(study, cost))
        if len(marks) > 1:
            metric = study.metric.replace("_", " ")
            yield f"{cost.caption} against {metric}", drawn(_scatter(marks, cost, study.metric, _least_quality(study)))


def _least_quality(study: Study) -> float | None:
    """That the budget of a search allows."""
    search, upload = study.request.search, study.baseline
    if search is None or search.budget.max_quality_drop is None or upload is None or upload.quality is None:
        return None
    drop = search.budget.max_quality_drop
    return upload.quality + (drop if study.metric == "mean_squared_error" else -drop)


def _time(group: StudyGroup, study: Study) -> Spread | None:
    """As if every recipe had been timed beside the same run of the upload."""
    if group.speedup is None or study.baseline is None or study.baseline.latency_ms is None:
        return None
    mean = study.baseline.latency_ms * relative_time(group)
    deviation = group.speedup.standard_deviation
    return Spread(mean=mean, standard_deviation=None if deviation is None else mean * deviation / group.speedup.mean)


def _milliseconds(study: Study) -> float | None:
    return study.baseline.latency_ms if study.baseline else None


_COSTS = (
    Cost(
        "File size",
        ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")),
        lambda group, _: group.size_bytes,
        lambda study: study.baseline.size_bytes if study.baseline else None,
        lambda value: figures.size(round(value)),
    ),
    Cost("Time for a call", ((1, "ms"),), _time, _milliseconds, figures.milliseconds),
    Cost(
        "Multiply-accumulates",
        ((1e3, "thousand"), (1e6, "million"), (1e9, "billion")),
        lambda group, _: group.macs,
        lambda study: study.baseline.macs if study.baseline else None,
        lambda value: figures.count(round(value)),
    ),
)


def _marks(study: Study, cost: Cost) -> Iterator[Mark]:
    upload = cost.of_upload(study)
    if upload is not None and study.baseline is not None and study.baseline.quality is not None:
        yield Mark("the upload", "upload", "", upload, study.baseline.quality, 0, 0)
    for number, group in enumerate(study.groups, start=1):
        spread = cost.of(group, study)
        if spread is not None and group.quality is not None:
            yield Mark(
                f"recipe {number}",
                "control" if group.control else "recipe",
                str(number),
                spread.mean,
                group.quality.mean,
                spread.standard_deviation or 0,
                group.quality.standard_deviation or 0,
            )


def _scatter(marks: Sequence[Mark], cost: Cost, metric: Metric, least_quality: float | None) -> Specification:
    divisor, unit = _unit([mark.cost for mark in marks], cost)
    front = _front(marks, metric)
    values: Values = [_value(mark, divisor, cost, metric, is_on_front=mark in front) for mark in marks]
    costs = [mark.cost / divisor for mark in marks]
    wide = max(costs) > WIDE_RANGE * min(costs)
    across = logarithmic("cost", f"{unit}, logarithmic", costs) if wide else horizontal("cost", unit)
    up = horizontal("quality", "" if metric == "mean_squared_error" else "%")
    up["axis"] |= {"labelFlush": False}
    layers = list(_layers(across, up))
    if least_quality is not None:
        layers.insert(0, _budget_line(least_quality if metric == "mean_squared_error" else 100 * least_quality, up))
    return styled(values, layers, WIDTH, HEIGHT)


def _budget_line(quality: float, up: Specification) -> Specification:
    return {
        "mark": {"type": "rule", "stroke": "var(--ink)", "strokeWidth": 1, "strokeDash": [4, 3], "opacity": 0.6},
        "encoding": {"y": {name: value for name, value in up.items() if name != "field"} | {"datum": quality}},
    }


def _layers(across: Specification, up: Specification) -> Iterator[Specification]:
    colour = _scale("kind", _FILL)
    yield {
        "transform": [{"filter": "datum.front"}],
        "mark": {
            "type": "line",
            "interpolate": "step-after",
            "stroke": "var(--after)",
            "strokeWidth": 1.5,
            "opacity": 0.4,
        },
        "encoding": {"x": across, "y": up, "order": {"field": "cost", "type": "quantitative"}},
    }
    yield _deviations({"x": across, "y": up | {"field": "low"}, "y2": {"field": "high"}}, "qualities")
    yield _deviations({"x": across | {"field": "from"}, "x2": {"field": "to"}, "y": up}, "costs")
    yield {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, "stroke": "var(--paper)", "strokeWidth": 1},
        "encoding": {"x": across, "y": up, "color": colour, "shape": _scale("kind", _SHAPES), "description": TIP},
    }
    yield {
        "mark": {"type": "text", "dy": -10, "fontSize": 11, "fill": "var(--ink)"},
        "encoding": {"x": across, "y": up, "text": {"field": "number", "type": "nominal"}},
    }


def _deviations(places: Specification, deviations: str) -> Specification:
    return {
        "transform": [{"filter": f"datum.{deviations} > 0"}],
        "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6},
        "encoding": {**places, "color": _scale("kind", _FILL)},
    }


def _scale(field: str, of: dict[str, str]) -> Specification:
    return {
        "field": field,
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(of), "range": list(of.values())},
    }


def _unit(costs: Sequence[float], cost: Cost) -> tuple[float, str]:
    """The largest in which the smallest of them is not below one, so that all can be told apart."""
    fitting = [each for each in cost.units if min(costs) >= each[0]]
    return fitting[-1] if fitting else cost.units[0]


def _value(mark: Mark, divisor: float, cost: Cost, metric: Metric, *, is_on_front: bool) -> dict[str, JsonValue]:
    scale = 1 if metric == "mean_squared_error" else 100
    quality, deviation = scale * mark.quality, scale * mark.quality_spread
    return {
        "kind": mark.kind,
        "number": mark.number,
        "front": is_on_front,
        "cost": mark.cost / divisor,
        "from": (mark.cost - mark.cost_spread) / divisor,
        "to": (mark.cost + mark.cost_spread) / divisor,
        "costs": mark.cost_spread,
        "quality": quality,
        "low": quality - deviation,
        "high": quality + deviation,
        "qualities": deviation,
        "tip": f"{mark.name}: {cost.written(mark.cost)}, {figures.quality(metric, mark.quality)}",
    }


def _front(marks: Sequence[Mark], metric: Metric) -> list[Mark]:
    """Of this chart alone: what no other recipe beats in this cost and in quality."""
    recipes = [mark for mark in marks if mark.kind != "upload"]
    costs = {mark.name: (mark.cost, error(metric, mark.quality)) for mark in recipes}
    return [mark for mark in recipes if not any(_beats(other, costs[mark.name]) for other in costs.values())]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]
