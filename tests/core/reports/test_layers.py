"""What a report says of the network's layers, and that names of layers stay text."""

import base64
import re

import pytest

from app.core.details import DetailTable
from app.core.layer_changes import LayerChange, WeightHistogram
from app.core.reports import ReportData, render
from app.core.reports.layers import MOST_ROWS, layer_charts, layer_table, weight_charts
from app.core.tasks import StepTiming
from tests.core.measured_files import int8_job
from tests.core.reports.test_reports import NASTY, Page, report_of

WEIGHTS = WeightHistogram(
    low=-1, high=1, before=(1, 5, 9, 5, 1), after=(1, 5, 0, 5, 1), zeros_before=0, zeros_after=0.45
)


def layer(name: str, before: int, after: int, weights: WeightHistogram | None = None) -> LayerChange:
    nonzero = after // 2
    return LayerChange(name=name, type="Linear", before=before, after=after, nonzero_after=nonzero, weights=weights)


def with_layers(*layers: LayerChange, details: tuple[DetailTable, ...] = ()) -> ReportData:
    job = int8_job()
    job.steps = (StepTiming(technique="static_quantization", seconds=1, details=details),)
    report = report_of(job)
    return report.model_copy(update={"result": report.result.model_copy(update={"layers": layers})})


def test_sizes_are_drawn_for_the_largest_layers_and_listed_for_all() -> None:
    report = with_layers(*(layer(f"fc{number}", 100 + number, 50) for number in range(MOST_ROWS + 3)))
    ((caption, svg),) = layer_charts(report.result)
    assert f"{MOST_ROWS} of {MOST_ROWS + 3} layers" in caption
    assert "fc14: 114 before" in svg
    assert "fc14: 50 after" in svg
    assert "fc0:" not in svg
    table = layer_table(report.result)
    assert table is not None
    assert table.rows[0] == ("fc0", "Linear", "100", "50", "50 %")


def test_layers_that_stayed_as_they_were_are_not_shown() -> None:
    same = LayerChange(name="fc", type="Linear", before=10, after=10, nonzero_after=10)
    report = with_layers(same)
    assert list(layer_charts(report.result)) == []
    assert layer_table(report.result) is None


@pytest.mark.parametrize("column", ["weight sqnr db", "sqnr db"])
def test_errors_that_steps_tell_are_drawn_worst_first(column: str) -> None:
    table = DetailTable(title="Layers", columns=("layer", column), rows=(("a", 40.0), ("b", 12.5), ("c", None)))
    ((caption, svg),) = layer_charts(with_layers(details=(table,)).result)
    assert "Static quantization" in caption
    assert svg.index("b: 12.5 dB") < svg.index("a: 40.0 dB")
    assert "c:" not in svg


def test_weights_are_drawn_without_their_zeros_which_are_told() -> None:
    ((caption, svg),) = weight_charts(with_layers(layer("conv", 20, 20, WEIGHTS)).result)
    assert caption == "conv: 45 % zero"
    assert "before: 9 weights from -0.2 to 0.2" in svg
    assert "after: 0 weights from -0.2 to 0.2" in svg


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_names_of_layers_stay_text(kind: str) -> None:
    name = NASTY[:199]
    table = DetailTable(title="Layers", columns=("layer", "sqnr db"), rows=((name, 40.0),))
    text = render(with_layers(layer(name, 20, 10, WEIGHTS), details=(table,)), kind)
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "img", "a"}
    assert "[link](" not in text or kind == "report.html"
    assert "alert(1)" in page.text
    for address in re.findall(r"!\[.*?\]\(data:image/svg\+xml;base64,([^)]+)\)", text):
        drawing = Page(base64.b64decode(address).decode())
        assert not {tag for tag, _ in drawing.elements} & {"script", "img", "a", "image", "foreignobject"}


def test_markdown_holds_every_drawing_of_the_page() -> None:
    report = with_layers(layer("conv", 20, 10, WEIGHTS))
    drawings = render(report, "report.html").count("<svg")
    pictures = re.findall(r"^!\[.+\]\(data:image/svg\+xml;base64,", render(report, "report.md"), flags=re.MULTILINE)
    assert len(pictures) == drawings == 5
