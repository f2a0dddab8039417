"""The report of a job of kind `sensitivity`: a heat map and a table of what each change to each layer costs."""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from typing import Literal

from pydantic import JsonValue

from app.core.measurements import Metric
from app.core.reports.charts import Specification, Values, drawn, styled
from app.core.reports.policy import CONTENT_POLICY, SCRIPT
from app.core.reports.rendering import as_json, templates
from app.core.schemas import Schema
from app.core.sensitivities import LayerSensitivity, Sensitivity, SensitivityOptions
from app.core.sensitivity_tables import TITLES, amount, change, columns_of, summary, table, title
from app.core.times import Time

SensitivityReportKind = Literal["report.html", "report.md", "report.json"]

CELL_WIDTH, CELL_HEIGHT = 58, 20
EXPLANATIONS = (
    (
        "Changes",
        "Each is made to the network as it was uploaded, to one layer alone and without training afterwards. What "
        "several of them cost together is seldom their sum.",
    ),
    (
        "Units",
        "The channels, neurons, heads or hidden units of least L2 norm, with everything that reads them. Where a "
        "residual sum ties layers together, all of them lose the same units; report.json names them.",
    ),
    (
        "Maps",
        "A figure is the change of the quality. The shade is the root of the mean squared error of the answers, as a "
        "share of their spread: it tells apart what leaves the quality as it is.",
    ),
    ("Zeros", "The weights of least magnitude. They make files smaller where zeros are left out, and no file faster."),
    ("Bits", "As weight_quantization rounds by its default method: affine, in groups."),
    (
        "Quality",
        "On training examples drawn by the seed, so that the test examples are unseen when a recipe that was chosen by "
        "this report is judged. Without labels the upload's own answers are the yardstick.",
    ),
)


class SensitivityReport(Schema):
    """Names are what people called their uploads: text of any kind, never markup."""

    job: str
    request: SensitivityOptions
    model_name: str
    dataset_name: str | None
    created_at: Time
    started_at: Time
    finished_at: Time
    result: Sensitivity


def render_sensitivity(report: SensitivityReport, kind: SensitivityReportKind) -> str:
    return _RENDERERS[kind](report)


def _html(report: SensitivityReport) -> str:
    page = templates().get_template("sensitivity.html.j2")
    charts = list(heat_maps(report.result))
    return page.render(_shown(report), charts=charts, script=SCRIPT, policy=CONTENT_POLICY)


def _markdown(report: SensitivityReport) -> str:
    return templates().get_template("sensitivity.md.j2").render(_shown(report))


def _json(report: SensitivityReport) -> str:
    return as_json(summary(report.result), report)


_RENDERERS: dict[SensitivityReportKind, Callable[[SensitivityReport], str]] = {
    "report.html": _html,
    "report.md": _markdown,
    "report.json": _json,
}
SENSITIVITY_REPORT_KINDS: tuple[SensitivityReportKind, ...] = tuple(_RENDERERS)


def _shown(report: SensitivityReport) -> dict[str, object]:
    result = report.result
    return {
        "report": report,
        "result": result,
        "summary": summary(result),
        "heading": title(result.baseline.metric),
        "columns": [amount(*column) for column in columns_of(result)],
        "rows": list(table(result)),
        "explanations": EXPLANATIONS,
    }


def heat_maps(result: Sensitivity) -> Iterator[tuple[str, str]]:
    """Pairs of a caption and an SVG element, one for each technique."""
    for technique, caption in TITLES.items():
        rows = [row for row in result.layers if row.technique == technique]
        if rows:
            yield caption, drawn(_heat_map(rows, [of for by, of in columns_of(result) if by == technique], result))


def _heat_map(rows: Sequence[LayerSensitivity], columns: Sequence[float], result: Sensitivity) -> Specification:
    """The figure is the change of the quality, and the shade how far off the answers are: it tells changes apart that
    leave quality as it is."""
    layers = list(dict.fromkeys(row.layer for row in rows))
    across = {
        "x": _nominal("amount", [_short(column) for column in columns], {"orient": "top", "labelAngle": 0}),
        "y": _nominal("layer", layers, {"labelLimit": 170}),
    }
    cells = {
        "mark": {"type": "rect", "fill": "var(--heat)"},
        "encoding": across | {"fillOpacity": _SHADE},
    }
    labels = {
        "mark": {"type": "text", "fontSize": 10.5, "fill": "var(--ink)"},
        "encoding": across | {"text": {"field": "label", "type": "nominal"}},
    }
    values: Values = [_cell(row, result.baseline.metric) for row in rows]
    chart = styled(values, [cells, labels], CELL_WIDTH * len(columns), CELL_HEIGHT * len(layers))
    # The page's font may be wider than the one that labels were measured in.
    return chart | {"padding": {"left": 24, "top": 2, "right": 2, "bottom": 2}}


_SHADE = {
    "field": "off",
    "type": "quantitative",
    "legend": None,
    "scale": {"domain": [0, 1], "range": [0.04, 1], "clamp": True},
}


def _cell(row: LayerSensitivity, metric: Metric) -> dict[str, JsonValue]:
    return {"layer": row.layer, "amount": _short(row.amount), "off": sqrt(row.error), "label": change(row, metric)}


def _short(amount: float) -> str:
    return f"{amount:.0f} bits" if amount > 1 else f"{100 * amount:.0f} %"


def _nominal(field: str, order: Sequence[str], axis: Specification) -> Specification:
    return {"field": field, "type": "nominal", "sort": list(order), "title": None, "axis": axis}
