"""/v1/datasets"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import DOWNLOAD, LOCATION
from app.api.context import ContextDependency, caller_with
from app.api.downloads import file_response
from app.api.examples import INSPECTED_DATASET, UPLOADED_DATASET, page_of, shown
from app.api.form_fields import (
    DATASET_FILE,
    EXAMPLE_TRANSFORM,
    NAME_FIELD,
    TRANSFORM_FIELD,
    file_schema,
    form_body,
    read_dataset_upload,
)
from app.api.multipart import FormShape, received_form
from app.api.pagination import DEFAULT_LIMIT, After, Limit
from app.api.problems import error_responses
from app.core import datasets
from app.core.datasets import Dataset
from app.core.keys import Caller
from app.core.pages import Page

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
Reader = Annotated[Caller, caller_with("datasets:read")]
Writer = Annotated[Caller, caller_with("datasets:write")]

_FORM = FormShape(files=("file",), fields=("name", "transform"))
_FORM_BODY = form_body(
    ("file",),
    {
        "file": file_schema(DATASET_FILE),
        "name": NAME_FIELD,
        "transform": TRANSFORM_FIELD,
    },
    {
        "digits": {"summary": "Arrays", "value": {"name": "digits"}},
        "photos": {"summary": "Images", "value": {"name": "photos", "transform": EXAMPLE_TRANSFORM}},
    },
)


@router.post(
    "",
    status_code=201,
    summary="Upload a data set",
    openapi_extra={"requestBody": {"required": True, "content": _FORM_BODY}},
    responses={201: shown(UPLOADED_DATASET, headers=LOCATION), **error_responses(413, 415, 507)},
)
async def upload_dataset(request: Request, response: Response, context: ContextDependency, caller: Writer) -> Dataset:
    """Integer labels mean classification, float labels regression, no labels `unlabelled`. Folders of images are
    classes, in the order of their names.

    The arrays' values are looked at by a worker, after which the data set is `ready` or `rejected`.
    """
    async with received_form(request, _FORM, context.storage, context.settings) as form:
        dataset = await run_in_threadpool(
            datasets.create,
            context.database,
            context.storage,
            caller,
            form.file.staged,
            form.file.file_name,
            read_dataset_upload(form, form.file),
        )
    response.headers["Location"] = f"/v1/datasets/{dataset.id}"
    return dataset


@router.get("", summary="List data sets", responses={200: shown(page_of(INSPECTED_DATASET)), **error_responses()})
def list_datasets(
    context: ContextDependency, caller: Reader, limit: Limit = DEFAULT_LIMIT, after: After = None
) -> Page[Dataset]:
    """Newest first."""
    return datasets.page(context.database, caller, limit, after)


@router.get(
    "/{dataset_id}", summary="Show a data set", responses={200: shown(INSPECTED_DATASET), **error_responses(404)}
)
def show_dataset(context: ContextDependency, caller: Reader, dataset_id: str) -> Dataset:
    return datasets.get(context.database, caller, dataset_id)


@router.head("/{dataset_id}/download", include_in_schema=False)
@router.get(
    "/{dataset_id}/download",
    summary="Download a data set as it was uploaded",
    response_class=Response,
    responses={**DOWNLOAD, **error_responses(404, 416)},
)
def download_dataset(request: Request, context: ContextDependency, caller: Reader, dataset_id: str) -> Response:
    with context.database.reading() as session:
        row = datasets.find(session, caller, dataset_id)
    suffix = ".zip" if row.format == "images" else f".{row.format}"
    return file_response(
        request,
        context.storage.path(row.file_key),
        sha256=row.sha256,
        media_type="application/octet-stream",
        file_name=row.name.removesuffix(suffix) + suffix,
    )


@router.delete("/{dataset_id}", status_code=204, summary="Delete a data set", responses=error_responses(404, 409))
def delete_dataset(context: ContextDependency, caller: Writer, dataset_id: str) -> None:
    """Refused with 409 while a job needs it."""
    datasets.delete(context.database, context.storage, caller, dataset_id)
