"""/v1/jobs/{job_id}/artifacts and the report: files that a job made."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from app.api.accepting import best_match
from app.api.answers import DOWNLOAD, text_of
from app.api.context import ContextDependency, caller_with
from app.api.downloads import file_response
from app.api.examples import ARTIFACT, page_of, shown
from app.api.problems import error_responses
from app.core import artifacts, jobs
from app.core.artifacts import Artifact
from app.core.errors import Conflict
from app.core.keys import Caller
from app.core.pages import Page
from app.core.reports import CONTENT_POLICY

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["artifacts"])
Reader = Annotated[Caller, caller_with("jobs:read")]

_REPORTS = {"text/html": "report.html", "text/markdown": "report.md", "application/json": "report.json"}
_REPORT_POLICY = f"{CONTENT_POLICY}; frame-ancestors 'none'"


@router.get(
    "/artifacts", summary="List a job's files", responses={200: shown(page_of(ARTIFACT)), **error_responses(404)}
)
def list_artifacts(context: ContextDependency, caller: Reader, job_id: str) -> Page[Artifact]:
    """Empty until the job has succeeded."""
    return Page[Artifact](data=tuple(artifacts.of_job(context.database, caller, job_id)), has_more=False)


@router.head("/artifacts/{name}", include_in_schema=False)
@router.get(
    "/artifacts/{name}",
    summary="Download a file",
    response_class=Response,
    responses={**DOWNLOAD, **error_responses(404, 416)},
)
def download_artifact(request: Request, context: ContextDependency, caller: Reader, job_id: str, name: str) -> Response:
    """Whole, or a part by `Range`; `If-None-Match` with the file's `ETag` answers 304."""
    with context.database.reading() as session:
        row = artifacts.find(session, caller, job_id, name)
    path = context.storage.path(row.file_key)
    return file_response(request, path, sha256=row.sha256, media_type=row.media_type, file_name=row.name)


@router.get(
    "/report",
    summary="Show a job's report",
    response_class=Response,
    responses={200: text_of(*_REPORTS), **error_responses(404, 406, 409)},
)
def show_report(request: Request, context: ContextDependency, caller: Reader, job_id: str) -> Response:
    """As HTML, Markdown or JSON, by `Accept`."""
    with context.database.reading() as session:
        job = jobs.find(session, caller, job_id)
        if job.status != "succeeded" or job.kind == "inspect":
            raise Conflict(
                f"{job_id} is of the kind {job.kind} and {job.status}, and only a job that succeeded has a report. "
                f"GET /v1/jobs/{job_id} tells how it stands.",
                code="no_report",
                title="There is no report",
            )
        row = artifacts.find(session, caller, job_id, _REPORTS[best_match(request, tuple(_REPORTS))])
    return file_response(
        request,
        context.storage.path(row.file_key),
        sha256=row.sha256,
        media_type=row.media_type,
        file_name=None,
        headers={"Content-Security-Policy": _REPORT_POLICY, "Vary": "Accept"},
    )
