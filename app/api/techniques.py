"""/v1/techniques: what a recipe may be made of."""

from typing import Any

from fastapi import APIRouter, Depends

from app.api.context import get_caller
from app.api.problems import error_responses
from app.core.measurements import OutputFormat
from app.core.pages import Page
from app.core.recipes import TECHNIQUES, Stage, StepBase
from app.core.schemas import Schema

router = APIRouter(prefix="/v1/techniques", tags=["techniques"], dependencies=[Depends(get_caller)])


class Technique(Schema):
    name: str
    stage: Stage
    summary: str
    needs_data: bool
    needs_labels: bool
    needs_network: bool
    needs_editable_graph: bool
    formats: tuple[OutputFormat, ...]
    json_schema: dict[str, Any]


@router.get("", summary="List techniques", responses=error_responses())
def list_techniques() -> Page[Technique]:
    """Each with its stage, what it needs, the formats that can hold it, and the JSON schema of its step."""
    return Page[Technique](data=tuple(_describe(name, step) for name, step in TECHNIQUES.items()), has_more=False)


def _describe(name: str, step: type[StepBase]) -> Technique:
    return Technique(
        name=name,
        stage=step.stage,
        summary=step.summary,
        needs_data=step.needs_data,
        needs_labels=step.needs_labels,
        needs_network=step.needs_network,
        needs_editable_graph=step.needs_editable_graph,
        formats=step.formats,
        json_schema=step.model_json_schema(),
    )
