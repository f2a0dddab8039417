"""Learning curves as SVG: the loss, and quality on training and validation examples, epoch by epoch."""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from app.core.measurements import Epoch, StepResult
from app.core.reports.charts import WIDTH, Specification, Values, drawn, horizontal, styled

HEIGHT = 130
_COLOURS = {"training": "var(--before)", "validation": "var(--after)"}


def learning_curves(step: StepResult) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element. One epoch is no curve."""
    if len(step.epochs) < 2:
        return
    yield "Training loss by epoch", drawn(_lines(list(_losses(step.epochs)), ("training",), ""))
    qualities = list(_qualities(step.epochs))
    if qualities:
        metric = next(epoch.metric for epoch in step.epochs if epoch.metric)
        kinds = tuple(kind for kind in _COLOURS if any(value["kind"] == kind for value in qualities))
        unit = "" if metric == "mean_squared_error" else "%"
        caption = f"{metric.replace('_', ' ').capitalize()} by epoch"
        yield caption, drawn(_lines(qualities, kinds, unit))


def _losses(epochs: Sequence[Epoch]) -> Iterator[dict[str, JsonValue]]:
    for number, epoch in enumerate(epochs, start=1):
        yield {"epoch": number, "value": epoch.loss, "kind": "training"}


def _qualities(epochs: Sequence[Epoch]) -> Iterator[dict[str, JsonValue]]:
    for number, epoch in enumerate(epochs, start=1):
        scale = 1 if epoch.metric == "mean_squared_error" else 100
        for kind, value in (("training", epoch.training_quality), ("validation", epoch.validation_quality)):
            if epoch.metric is not None and value is not None:
                yield {"epoch": number, "value": scale * value, "kind": kind}


def _lines(values: Values, kinds: Sequence[str], unit: str) -> Specification:
    """A line for each kind, named beside its end."""
    position = horizontal("epoch", "") | {"scale": {"zero": False, "nice": False}}
    position["axis"] |= {"format": "d", "tickMinStep": 1, "grid": False}
    across = horizontal("value", unit)
    across["axis"] |= {"tickCount": 4, "labelFlush": False, "format": "~f"}
    colour = {"field": "kind", "type": "nominal", "scale": {"domain": list(_COLOURS), "range": list(_COLOURS.values())}}
    legend = {
        "orient": "top",
        "title": None,
        "symbolType": "stroke",
        "labelColor": "var(--quiet)",
        "values": list(kinds),
    }
    line = {
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 18}},
        "encoding": {"x": position, "y": across, "color": colour | {"legend": legend if len(kinds) > 1 else None}},
    }
    return styled(values, [line], WIDTH, HEIGHT)
