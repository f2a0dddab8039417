"""POST /v1/jobs: one address that takes JSON, or everything in one form."""

from typing import Any

from fastapi import Request
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_content
from app.api.context import Context
from app.api.form_fields import (
    ARCHITECTURE_FIELD,
    DATASET_FILE,
    EXAMPLE_INPUTS,
    INPUTS_FIELD,
    TRANSFORM_FIELD,
    file_schema,
    form_body,
    json_schema,
    read_dataset_upload,
    read_model_upload,
)
from app.api.multipart import Form, FormShape, received_form
from app.api.strict_json import read_as, read_json_body
from app.core import datasets, models
from app.core.errors import FieldError, Invalid
from app.core.facts import PLAIN_FORMATS
from app.core.job_options import JobOptions, JobRequest, check_limits
from app.core.jobs import Job
from app.core.keys import Caller
from app.core.submissions import Idempotency, submit_request, submit_upload

_REQUEST = TypeAdapter(JobRequest)
_OPTIONS = TypeAdapter(JobOptions)
_FORM = FormShape(files=("file", "dataset_file"), fields=("job", "inputs", "architecture", "transform"))
_EXAMPLE_JOB = '{"recipe": {"preset": "fast"}, "outputs": ["onnx"]}'

JSON_EXAMPLES = {
    "preset": {
        "summary": "A preset",
        "value": {"model": "model_…", "dataset": "dataset_…", "recipe": {"preset": "fast"}},
    },
    "without data": {
        "summary": "A preset, without data",
        "value": {"model": "model_…", "recipe": {"preset": "small"}, "outputs": ["onnx"]},
    },
    "int8": {
        "summary": "int8 with calibration",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipe": {"steps": [{"technique": "static_quantization", "examples": 100}]},
            "outputs": ["onnx"],
        },
    },
    "pruning": {
        "summary": "Half of the weights set to zero, in every format that needs no extra",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipe": {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.5}]},
            "outputs": list(PLAIN_FORMATS),
            "seed": 0,
        },
    },
    "thinner": {
        "summary": "Half of the channels removed, trained by the upload's answers, in the best format and precision",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipe": {
                "steps": [
                    {"technique": "structured_pruning", "ratio": 0.5, "criterion": "taylor"},
                    {"technique": "distillation", "epochs": 3},
                ]
            },
            "outputs": ["auto"],
            "minimize": "size",
        },
    },
    "mixed precision": {
        "summary": "As few bits for each layer as one point of quality allows",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipe": {
                "steps": [{"technique": "mixed_precision", "bits": [4, 8], "budget": {"max_quality_drop": 0.01}}]
            },
            "outputs": ["onnx"],
        },
    },
}

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **json_content("JobRequest", JSON_EXAMPLES),
        **form_body(
            ("file", "job"),
            {
                "file": file_schema("The network: `.pt`, `.pth`, `.pt2` or `.safetensors`."),
                "dataset_file": file_schema(DATASET_FILE),
                "transform": TRANSFORM_FIELD,
                "job": json_schema(
                    "JobOptions", "JSON: the job, without `model` and `dataset`.", examples=[_EXAMPLE_JOB]
                ),
                "inputs": INPUTS_FIELD,
                "architecture": ARCHITECTURE_FIELD,
            },
            {"TorchScript": {"value": {"job": _EXAMPLE_JOB, "inputs": EXAMPLE_INPUTS}}},
        ),
    },
}


async def submit(request: Request, context: Context, caller: Caller, idempotency_key: str | None) -> Job:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        caller.require("models:write")
        caller.require("datasets:write")
        async with received_form(request, _FORM, context.storage, context.settings) as form:
            return await run_in_threadpool(_submit_form, context, caller, form, idempotency_key)
    body = await read_json_body(request, context.settings.max_body_bytes)
    job = read_as(_REQUEST, body)
    check_limits(job, context.settings)
    idempotency = idempotency_of(idempotency_key, job.model_dump(mode="json"))
    return await run_in_threadpool(submit_request, context.database, caller, job, idempotency)


def _submit_form(context: Context, caller: Caller, form: Form, idempotency_key: str | None) -> Job:
    options, upload = _read_options(form), read_model_upload(form)
    check_limits(options, context.settings)
    data = form.files.get("dataset_file")
    data_upload = read_dataset_upload(form, data) if data is not None else None
    idempotency = idempotency_of(
        idempotency_key,
        {
            "job": options.model_dump(mode="json"),
            "upload": upload.model_dump(mode="json"),
            "dataset": data_upload and data_upload.model_dump(mode="json"),
            "files": {name: file.staged.sha256 for name, file in form.files.items()},
        },
    )
    kept_model = models.keep(context.storage, form.file.staged, form.file.file_name, upload)
    kept_dataset = None
    with context.storage.forgetting_on_failure(*kept_model.keys()):
        if data is not None and data_upload is not None:
            kept_dataset = datasets.keep(context.storage, data.staged, data.file_name, data_upload)
    return submit_upload(context.database, context.storage, caller, options, kept_model, kept_dataset, idempotency)


def _read_options(form: Form) -> JobOptions:
    text = form.fields.get("job")
    if not text:
        raise Invalid(
            'The form\'s field `job` is missing. Send the job\'s JSON in it, for example {"recipe": {"preset": '
            '"fast"}}.',
            code="missing_field",
            title="The form has a field that is wrong",
            errors=[FieldError(where="job", message="is missing")],
        )
    return read_as(_OPTIONS, text, ("job",))


def idempotency_of(key: str | None, content: object) -> Idempotency | None:
    return None if key is None else Idempotency.of(key, content)
