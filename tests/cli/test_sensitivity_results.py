import pytest

from app.cli.printing import console
from app.cli.results import print_result
from app.core.jobs import Job
from tests.core.reports.test_sensitivity_reports import FOUND, HOSTILE


def test_a_row_for_each_layer_and_a_column_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 300)
    with console.capture() as captured:
        print_result(Job.model_construct(result=FOUND))
    text = captured.get()
    assert "50 % fewer units cost most in conv1 (−30.0 points)" in text
    assert "Change of accuracy, in points" in text
    assert "2 bits" in text
    assert f"! {HOSTILE}" in text
