"""/health: for a load balancer, an orchestrator, and whoever wonders why nothing happens."""

from typing import Literal

from fastapi import APIRouter, Response

from app.api.answers import RETRY_AFTER
from app.api.context import ContextDependency
from app.core.health import Readiness, readiness
from app.core.schemas import Schema

router = APIRouter(prefix="/health", tags=["health"])


class Liveness(Schema):
    status: Literal["ok"] = "ok"


@router.get("/live", summary="Is the service alive?")
async def show_liveness() -> Liveness:
    """Yes, where this is answered: nothing else is looked at."""
    return Liveness()


@router.get(
    "/ready",
    summary="Can the service work?",
    responses={503: {"model": Readiness, "description": "It can't; the fields say why.", "headers": RETRY_AFTER}},
)
def show_readiness(response: Response, context: ContextDependency) -> Readiness:
    """The database, the files, a worker's sign of life and its sandbox; 503 where one of them is missing."""
    state = readiness(context.database, context.storage, context.settings)
    if state.status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return state
