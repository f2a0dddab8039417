"""Learning curves as SVG: the loss, and quality on training and validation examples, epoch by epoch."""

from collections.abc import Iterator, Sequence
from math import ceil

from pydantic import JsonValue

from app.core import figures
from app.core.measurements import Epoch, StepResult
from app.core.reports.charts import MOST_TICKS, TIP, WIDTH, Specification, Values, drawn, horizontal, styled

HEIGHT = 130
_COLOURS = {"training": "var(--before)", "validation": "var(--after)"}


def learning_curves(step: StepResult) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element. One epoch is no curve."""
    if len(step.epochs) < 2:
        return
    yield "Training loss by epoch", drawn(_lines(list(_losses(step.epochs)), ("training",)))
    qualities = list(_qualities(step.epochs))
    if qualities:
        metric = next(epoch.metric for epoch in step.epochs if epoch.metric)
        kinds = tuple(kind for kind in _COLOURS if any(value["kind"] == kind for value in qualities))
        unit = "" if metric == "mean_squared_error" else ", %"
        yield f"{metric.replace('_', ' ').capitalize()} by epoch{unit}", drawn(_lines(qualities, kinds))


def _losses(epochs: Sequence[Epoch]) -> Iterator[dict[str, JsonValue]]:
    for number, epoch in enumerate(epochs, start=1):
        tip = f"training: loss {figures.digits(epoch.loss)} in epoch {number}"
        yield {"epoch": number, "value": epoch.loss, "kind": "training", "tip": tip}


def _qualities(epochs: Sequence[Epoch]) -> Iterator[dict[str, JsonValue]]:
    for number, epoch in enumerate(epochs, start=1):
        scale = 1 if epoch.metric == "mean_squared_error" else 100
        for kind, value in (("training", epoch.training_quality), ("validation", epoch.validation_quality)):
            if epoch.metric is not None and value is not None:
                tip = f"{kind}: {figures.quality(epoch.metric, value)} in epoch {number}"
                yield {"epoch": number, "value": scale * value, "kind": kind, "tip": tip}


def _lines(values: Values, kinds: Sequence[str]) -> Specification:
    """A line for each kind, named beside its end."""
    position = horizontal("epoch", "") | {"scale": {"zero": False, "nice": False}}
    last = max(int(str(value["epoch"])) for value in values)
    position["axis"] |= {"format": "d", "values": list(range(1, last + 1, ceil(last / MOST_TICKS))), "grid": False}
    across = horizontal("value", "")
    across["axis"] |= {"tickCount": 4, "labelFlush": False, "format": "~f"}
    colour = {"field": "kind", "type": "nominal", "scale": {"domain": list(_COLOURS), "range": list(_COLOURS.values())}}
    legend = {
        "orient": "top",
        "title": None,
        "symbolType": "stroke",
        "labelColor": "var(--quiet)",
        "values": list(kinds),
    }
    shared = {"x": position, "y": across, "color": colour | {"legend": legend if len(kinds) > 1 else None}}
    line = {"mark": {"type": "line", "strokeWidth": 2}, "encoding": shared}
    points = {
        "mark": {"type": "point", "size": 24, "filled": True, "opacity": 1},
        "encoding": shared | {"description": TIP},
    }
    return styled(values, [line, points], WIDTH, HEIGHT)
