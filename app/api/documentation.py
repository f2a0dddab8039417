"""The service's description: one OpenAPI document, shown at /docs and /redoc without any other host's help."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.problems import ProblemDocument
from app.core.architectures import ARCHITECTURE
from app.core.inputs import INPUTS
from app.core.job_options import JobOptions, JobRequest
from app.core.models import ModelUpload
from app.core.sensitivities import SensitivityOptions
from app.core.studies.requests import StudyRequest
from app.core.version import VERSION

_REFERENCE = "#/components/schemas/{model}"
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; worker-src blob:; frame-ancestors 'none'"
)
PAGES = {"/docs": PAGE_POLICY, "/redoc": PAGE_POLICY}

DESCRIPTION = """
Makes trained PyTorch models smaller and faster on a CPU: upload a TorchScript archive or a state dict, say what may be
done to it, and get back files that run without their source code, with a measured report of what changed.

**In three steps**

1. `POST /v1/models` with the network, and `POST /v1/datasets` with examples for calibration and test.
2. `POST /v1/jobs` with a recipe: a preset, or a list of steps (see `GET /v1/techniques`).
3. `GET /v1/jobs/{job_id}/report` for what changed, `GET /v1/jobs/{job_id}/artifacts` for the files.

To compare several recipes on one model, `POST /v1/studies`.

Or all of it in one call: `POST /v1/jobs` as a form with `file`, `dataset_file` and `job`.

**Conventions.** Ids are prefixed and sort by time. Times are RFC 3339 in UTC. Lists are newest first, with `limit` and
`after`. Every error is `application/problem+json`; its `detail` says what to do next, and its `request_id` finds the
request in the service's log. A body is strict JSON: no NaN, no duplicate keys, no unknown fields.
"""

TAGS = [
    {"name": "models", "description": "The networks that were uploaded, and what inspection found out about them."},
    {"name": "datasets", "description": "Examples for calibration, training and test."},
    {"name": "jobs", "description": "One recipe, run on one model."},
    {"name": "artifacts", "description": "Files that a job made, and its report."},
    {"name": "studies", "description": "Several recipes on one model, compared."},
    {"name": "techniques", "description": "What a recipe may be made of."},
    {"name": "presets", "description": "Recipes by name."},
    {"name": "health", "description": "For those who run the service."},
]


def new_documented_app(*, needs_keys: bool, **options: Any) -> FastAPI:
    app: FastAPI = FastAPIOffline(
        title="modelpress",
        version=VERSION,
        summary="Trained PyTorch models, smaller and faster on a CPU.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
        redoc_url=None,  # see documentation_pages.py
        swagger_ui_parameters={
            "displayRequestDuration": True,
            "docExpansion": "list",
            "filter": True,
            "tryItOutEnabled": True,
            "validatorUrl": None,
        },
        **options,
    )
    app.openapi = lambda: _openapi(app, needs_keys)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI, needs_keys: bool) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            separate_input_output_schemas=False,
        )
        document["components"]["schemas"] = _body_schemas() | document["components"]["schemas"]
        if not needs_keys:
            _leave_out_keys(document)
        app.openapi_schema = document
    return app.openapi_schema


def _leave_out_keys(document: dict[str, Any]) -> None:
    del document["components"]["securitySchemes"]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)


def _body_schemas() -> dict[str, Any]:
    """Of bodies that routes read themselves, and of problems."""
    models: list[type[BaseModel]] = [
        JobRequest,
        JobOptions,
        StudyRequest,
        ModelUpload,
        ProblemDocument,
        SensitivityOptions,
    ]
    _, document = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    inputs = INPUTS.json_schema(ref_template=_REFERENCE)
    architecture = ARCHITECTURE.json_schema(ref_template=_REFERENCE)
    named = {"Inputs": inputs, "Architecture": architecture}
    schemas: dict[str, Any] = {**document["$defs"], **inputs.pop("$defs"), **architecture.pop("$defs"), **named}
    del schemas["ModelUpload"]
    return schemas
