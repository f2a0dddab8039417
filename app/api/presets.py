"""/v1/presets: recipes by name."""

from fastapi import APIRouter, Depends

from app.api.context import get_caller
from app.api.problems import error_responses
from app.core.pages import Page
from app.core.recipes.presets import PRESETS, Preset

router = APIRouter(prefix="/v1/presets", tags=["presets"], dependencies=[Depends(get_caller)])


@router.get("", summary="List presets", responses=error_responses())
def list_presets() -> Page[Preset]:
    """Each is a list of `choices`; a job takes the first whose every step its model and its data allow."""
    return Page[Preset](data=tuple(PRESETS.values()), has_more=False)
