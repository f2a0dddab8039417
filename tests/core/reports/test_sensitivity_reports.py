import json
import re
from typing import Any

import pytest

from app.core.measurements import Quality
from app.core.reports.sensitivity import SENSITIVITY_REPORT_KINDS, SensitivityReport, render_sensitivity
from app.core.sensitivities import LayerSensitivity, Sensitivity, SensitivityOptions
from app.core.sensitivity_tables import columns_of, summary, table, title

HOSTILE = "<script>alert(1)</script>|`x`"


def row(layer: str, technique: str, amount: float, change: float, error: float = 0.1) -> LayerSensitivity:
    fields: dict[str, Any] = {"quality": 0.9 + change, "agreement": 0.9, "kl_divergence": 0.1, "error": error}
    return LayerSensitivity.model_validate(
        {"layer": layer, "technique": technique, "amount": amount, "quality_change": change, **fields}
    )


def sensitivity(*layers: LayerSensitivity, metric: str = "accuracy") -> Sensitivity:
    quality = {"metric": metric, "value": 0.9, "examples": 400, "labelled": True, "synthetic": False}
    return Sensitivity(baseline=Quality.model_validate(quality), layers=layers, complete=True, warnings=(HOSTILE,))


FOUND = sensitivity(
    row("conv1", "magnitude_pruning", 0.5, -0.02),
    row("conv1", "structured_pruning", 0.5, -0.3),
    row("conv1", "weight_quantization", 4, 0.0),
    row("conv1", "weight_quantization", 8, 0.0),
    row(HOSTILE, "structured_pruning", 0.5, -0.1),
    row(HOSTILE, "weight_quantization", 2, 0.01),
)


def rendered(found: Sensitivity, kind: Any) -> str:
    times = dict.fromkeys(("created_at", "started_at", "finished_at"), 1_700_000_000.0)
    names = {"job": "job_1", "model_name": HOSTILE, "dataset_name": HOSTILE, "request": SensitivityOptions()}
    return render_sensitivity(SensitivityReport.model_validate({**names, **times, "result": found}), kind)


def test_the_layer_that_bears_least_is_told_first() -> None:
    assert summary(FOUND) == (
        "Accuracy 90.0 % on 400 training examples; 50 % fewer units cost most in conv1 (−30.0 points); "
        "50 % zeros cost most in conv1 (−2.0 points); 4 bits cost nothing in any layer."
    )


def test_of_a_squared_error_more_is_worse() -> None:
    found = sensitivity(
        row("a", "weight_quantization", 4, 0.5), row("b", "weight_quantization", 4, -0.5), metric="mean_squared_error"
    )
    assert "cost most in a (+0.500)" in summary(found)
    assert title("mean_squared_error") == "Change of mean squared error"


def test_columns_go_from_the_slightest_change_to_the_greatest() -> None:
    assert [amount for technique, amount in columns_of(FOUND) if technique == "weight_quantization"] == [8, 4, 2]
    assert list(table(FOUND)) == [
        ("conv1", "−30.0", "−2.0", "0.0", "0.0", ""),
        (HOSTILE, "−10.0", "", "", "", "+1.0"),
    ]


@pytest.mark.parametrize("kind", SENSITIVITY_REPORT_KINDS)
def test_names_stay_text(kind: str) -> None:
    report = rendered(FOUND, kind)
    assert "conv1" in report
    assert kind == "report.json" or "<script>alert" not in report


def test_the_heat_maps_follow_the_theme_and_have_a_cell_for_each_change() -> None:
    page = rendered(FOUND, "report.html")
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 3
    cells = [path for drawing in drawings for path in re.findall(r"<path[^>]*var\(--heat\)[^>]*>", drawing)]
    assert len(cells) == len(FOUND.layers)
    assert not re.search(r"#[0-9a-fA-F]{6}", "".join(cells))
    assert re.search(r"--heat: #\w+;", page)


def test_json_has_all_that_was_found() -> None:
    body = json.loads(rendered(FOUND, "report.json"))
    assert body["summary"] == summary(FOUND)
    assert body["result"] == FOUND.model_dump(mode="json")
