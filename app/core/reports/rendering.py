"""One result, four files: a page to read, Markdown to paste, JSON to compute with, and a recipe to post again."""

import json
from collections.abc import Callable
from functools import cache
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.core import figures
from app.core.instructions import said_of
from app.core.reports.charts import charts
from app.core.reports.classes import classes_that_paid
from app.core.reports.data import ReportData
from app.core.reports.explanations import explanations
from app.core.reports.images import picture
from app.core.reports.layers import layer_charts, layer_table, weight_charts
from app.core.reports.markdown import plain
from app.core.reports.policy import CONTENT_POLICY, SCRIPT
from app.core.reports.predictions import predicted_and_measured
from app.core.reports.running import lines_to_run, needed_beside, needed_packages
from app.core.reports.sentence import sentence
from app.core.reports.steps import stories, tables_of_files
from app.core.reports.tables import before_and_after, side_by_side, step_by_step
from app.core.schemas import Schema

ReportKind = Literal["report.html", "report.md", "report.json", "recipe.json"]


def render(report: ReportData, kind: ReportKind) -> str:
    return _RENDERERS[kind](report)


def _html(report: ReportData) -> str:
    return templates().get_template("report.html.j2").render(_shown(report), script=SCRIPT, policy=CONTENT_POLICY)


def _markdown(report: ReportData) -> str:
    return templates().get_template("report.md.j2").render(_shown(report))


def _json(report: ReportData) -> str:
    return as_json(sentence(report.result), report)


def _recipe(report: ReportData) -> str:
    return report.request_again().model_dump_json(indent=2, exclude_none=True) + "\n"


_RENDERERS: dict[ReportKind, Callable[[ReportData], str]] = {
    "report.html": _html,
    "report.md": _markdown,
    "report.json": _json,
    "recipe.json": _recipe,
}


def _shown(report: ReportData) -> dict[str, object]:
    """Drawings are SVG elements, in which Vega has escaped every text."""
    result = report.result
    return {
        "report": report,
        "result": result,
        "sentence": sentence(result),
        "rows": before_and_after(result),
        "charts": list(charts(result)),
        "classes": classes_that_paid(result),
        "steps": step_by_step(result, report.steps),
        "stories": list(stories(result)),
        "layer_table": layer_table(result),
        "layer_charts": list(layer_charts(result)),
        "weight_charts": list(weight_charts(result)),
        "files": side_by_side(result),
        "tables_of_files": tables_of_files(result),
        "prediction": predicted_and_measured(result, report.seconds),
        "explanations": list(explanations(result)),
        "recipe": _recipe(report).strip(),
    }


def as_json(summary: str, report: Schema) -> str:
    body = {"summary": summary, **report.model_dump(mode="json")}
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@cache
def templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.core.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(
        lines_to_run=lines_to_run,
        needed_beside=needed_beside,
        needed_packages=needed_packages,
        said_of=said_of,
        figures=figures,
    )
    environment.filters.update(plain=plain, picture=picture)
    return environment
