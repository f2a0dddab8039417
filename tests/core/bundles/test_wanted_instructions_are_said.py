"""A CPU without the instructions that a file wants: said in the report, in the model card and by run.py."""

from typing import get_args

import pytest

from app.core.bundles import model_card
from app.core.bundles.run_script import run_script
from app.core.instructions import WANTED, Arithmetic
from app.core.reports import render
from tests.core.measured_files import int8_job
from tests.core.reports.test_reports import report_of


@pytest.mark.parametrize("arithmetic", [(one,) for one in get_args(Arithmetic)] + [get_args(Arithmetic), ()])
def test_every_text_names_them(arithmetic: tuple[Arithmetic, ...]) -> None:
    report = report_of(int8_job())
    file = report.best.model_copy(update={"arithmetic": arithmetic})
    told = report.model_copy(update={"result": report.result.model_copy(update={"artifacts": (file,)})})
    texts = [render(told, "report.md"), render(told, "report.html"), model_card(told)]
    for one in get_args(Arithmetic):
        assert all((f"Computes in {one}, for" in text) == (one in arithmetic) for text in texts)
        assert (f"lacks the instructions that {one} wants" in run_script(file, ())) == (one in arithmetic)
        assert (f'"{WANTED[one].names[0]}"' in run_script(file, ())) == (one in arithmetic)
