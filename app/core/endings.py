"""What the end of a job means for others; called in the transaction that ends it."""

from typing import Any

from sqlalchemy.orm import Session

from app.core.errors import ProblemBody
from app.core.events import add_event
from app.core.studies.lifecycle import job_ended
from app.core.tables import DatasetRow, JobRow, ModelRow


def ended(session: Session, row: JobRow) -> None:
    add_event(session, row.id, row.status, {"error": row.error} if row.error else None)
    if row.kind == "inspect" and row.status != "succeeded":
        _reject(session, row)
    job_ended(session, row)


def _reject(session: Session, inspection: JobRow) -> None:
    """Nothing can be done with what wasn't inspected, and jobs that wait for it are to learn that. An inspection of a
    model may name a data set too, which is then only a hint."""
    model, dataset = inspection.request["model"], inspection.request["dataset"]
    row = session.get(ModelRow, model) if model else session.get(DatasetRow, dataset)
    if row is not None:
        row.status, row.problem = "rejected", inspection.error or _canceled(inspection)


def _canceled(inspection: JobRow) -> dict[str, Any]:
    return ProblemBody(
        code="inspection_canceled",
        title="The inspection was canceled",
        detail=f"{inspection.id}, which was to look at the file, was canceled, so no job can use the file. Upload it "
        "again to have it inspected.",
    ).model_dump(mode="json")
