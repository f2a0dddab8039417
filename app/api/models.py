"""/v1/models"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import DOWNLOAD, LOCATION
from app.api.context import ContextDependency, caller_with
from app.api.downloads import file_response
from app.api.examples import INSPECTED_MODEL, UPLOADED_MODEL, WEIGHTS_ALONE, page_of, shown, shown_each
from app.api.form_fields import (
    ARCHITECTURE_FIELD,
    EXAMPLE_INPUTS,
    INPUTS_FIELD,
    NAME_FIELD,
    file_schema,
    form_body,
    read_model_upload,
)
from app.api.multipart import FormShape, received_form
from app.api.pagination import DEFAULT_LIMIT, After, Limit
from app.api.problems import error_responses
from app.core import models
from app.core.keys import Caller
from app.core.models import Model
from app.core.pages import Page

router = APIRouter(prefix="/v1/models", tags=["models"])
Reader = Annotated[Caller, caller_with("models:read")]
Writer = Annotated[Caller, caller_with("models:write")]

_SUFFIXES = {"safetensors": ".safetensors", "exported_program": ".pt2"}
_FORM = FormShape(files=("file",), fields=("name", "inputs", "architecture"))
_FORM_BODY = form_body(
    ("file",),
    {
        "file": file_schema("The network: `.pt`, `.pth`, `.pt2` or `.safetensors`."),
        "name": NAME_FIELD,
        "inputs": INPUTS_FIELD,
        "architecture": ARCHITECTURE_FIELD,
    },
    {"TorchScript": {"value": {"name": "digits", "inputs": EXAMPLE_INPUTS}}},
)


@router.post(
    "",
    status_code=201,
    summary="Upload a model",
    openapi_extra={"requestBody": {"required": True, "content": _FORM_BODY}},
    responses={201: shown(UPLOADED_MODEL, headers=LOCATION), **error_responses(413, 415, 507)},
)
async def upload_model(request: Request, response: Response, context: ContextDependency, caller: Writer) -> Model:
    """Checks the file's structure at once and keeps it; what is malformed is refused and nothing is stored.

    The answer's `status` is `inspecting`: a worker then loads the network and writes its `facts`, after which it is
    `ready`, or `rejected` with a `problem`. A state dict without `architecture` whose network isn't known by another
    upload is weights alone: `inputs` stay null, and `facts.blocked_by` says what to send for more.
    """
    async with received_form(request, _FORM, context.storage, context.settings) as form:
        model = await run_in_threadpool(
            models.create,
            context.database,
            context.storage,
            caller,
            form.file.staged,
            form.file.file_name,
            read_model_upload(form),
        )
    response.headers["Location"] = f"/v1/models/{model.id}"
    return model


@router.get("", summary="List models", responses={200: shown(page_of(INSPECTED_MODEL)), **error_responses()})
def list_models(
    context: ContextDependency, caller: Reader, limit: Limit = DEFAULT_LIMIT, after: After = None
) -> Page[Model]:
    """Newest first."""
    return models.page(context.database, caller, limit, after)


@router.get(
    "/{model_id}",
    summary="Show a model",
    responses={200: shown_each(network=INSPECTED_MODEL, weights_alone=WEIGHTS_ALONE), **error_responses(404)},
)
def show_model(context: ContextDependency, caller: Reader, model_id: str) -> Model:
    """With its `facts` once it is `ready`: layers, cost, and the techniques that it allows."""
    return models.get(context.database, caller, model_id)


@router.head("/{model_id}/download", include_in_schema=False)
@router.get(
    "/{model_id}/download",
    summary="Download a model as it was uploaded",
    response_class=Response,
    responses={**DOWNLOAD, **error_responses(404, 416)},
)
def download_model(request: Request, context: ContextDependency, caller: Reader, model_id: str) -> Response:
    with context.database.reading() as session:
        row = models.find(session, caller, model_id)
    suffix = _SUFFIXES.get(row.format, ".pt")
    return file_response(
        request,
        context.storage.path(row.file_key),
        sha256=row.sha256,
        media_type="application/octet-stream",
        file_name=row.name.removesuffix(suffix) + suffix,
    )


@router.delete("/{model_id}", status_code=204, summary="Delete a model", responses=error_responses(404, 409))
def delete_model(context: ContextDependency, caller: Writer, model_id: str) -> None:
    """Refused with 409 while a job needs it."""
    models.delete(context.database, context.storage, caller, model_id)
