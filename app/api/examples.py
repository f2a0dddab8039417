"""What answers look like, for the OpenAPI pages. Each fits its schema, which a test checks."""

from typing import Any

_HASH = "6800f55eca33e91f47d8bd6c2c4a4259ff663d9dba6a36b2247095a51e232b3a"
_MODEL_ID = "model_01m80bjn7szr66tvtq9p5t"
_DATASET_ID = "dataset_01m80bjnfpb44n6s3kx3y1"
_JOB_ID = "job_01m80bjnj90khygrdaa7cz"

UPLOADED_MODEL: dict[str, Any] = {
    "id": _MODEL_ID,
    "object": "model",
    "name": "digits",
    "status": "inspecting",
    "format": "torchscript",
    "size_bytes": 147448,
    "sha256": _HASH,
    "architecture": None,
    "inputs": [
        {"name": "x", "shape": ["batch", 1, 28, 28], "dtype": "float32", "low": None, "high": None, "ranges": {}}
    ],
    "inputs_from": "given",
    "facts": None,
    "problem": None,
    "created_at": "2026-01-31T12:00:00Z",
}

INSPECTED_MODEL: dict[str, Any] = {
    **UPLOADED_MODEL,
    "status": "ready",
    "facts": {
        "parameters": 34826,
        "macs": 2449216,
        "layers": [
            {"name": "conv1", "type": "Conv2d", "parameters": 320, "macs": 194688, "output_shape": [1, 32, 26, 26]},
            {"name": "fc", "type": "Linear", "parameters": 16010, "macs": 16000, "output_shape": [1, 10]},
        ],
        "editable": "whole",
        "blocked_by": [],
        "techniques": [
            {"technique": "static_quantization", "available": True, "reason": None},
            {"technique": "magnitude_pruning", "available": True, "reason": None},
        ],
    },
}

UPLOADED_DATASET: dict[str, Any] = {
    "id": _DATASET_ID,
    "object": "dataset",
    "name": "digits",
    "status": "inspecting",
    "arrays": {
        "x_train": {"shape": [4000, 1, 28, 28], "dtype": "float32"},
        "y_train": {"shape": [4000], "dtype": "int64"},
        "x_test": {"shape": [1000, 1, 28, 28], "dtype": "float32"},
        "y_test": {"shape": [1000], "dtype": "int64"},
    },
    "task": None,
    "examples": None,
    "classes": None,
    "size_bytes": 1333211,
    "sha256": _HASH[::-1],
    "created_at": "2026-01-31T12:00:01Z",
    "problem": None,
}

INSPECTED_DATASET: dict[str, Any] = {
    **UPLOADED_DATASET,
    "status": "ready",
    "task": "classification",
    "examples": {"train": 4000, "test": 1000},
    "classes": 10,
}

QUEUED_JOB: dict[str, Any] = {
    "id": _JOB_ID,
    "object": "job",
    "kind": "compress",
    "name": None,
    "status": "queued",
    "done": False,
    "attempt": 0,
    "losses": [],
    "progress": {"fraction": 0.0, "step": None, "message": None},
    "model": _MODEL_ID,
    "dataset": _DATASET_ID,
    "recipe": {"preset": "fast", "steps": None},
    "outputs": ["onnx"],
    "seed": 0,
    "minimize": "latency",
    "measure": {"threads": 1, "batch_sizes": [1], "repeats": None},
    "limits": {"seconds": 3600, "memory_mb": 8192},
    "result": None,
    "error": None,
    "created_at": "2026-01-31T12:00:02Z",
    "started_at": None,
    "finished_at": None,
    "urls": {
        "self": f"/v1/jobs/{_JOB_ID}",
        **{name: f"/v1/jobs/{_JOB_ID}/{name}" for name in ("events", "logs", "report", "artifacts", "cancel")},
    },
}

RUNNING_JOB: dict[str, Any] = {
    **QUEUED_JOB,
    "status": "running",
    "attempt": 1,
    "progress": {"fraction": 0.4, "step": 0, "message": "calibrating"},
    "started_at": "2026-01-31T12:00:03Z",
}

CANCELED_JOB: dict[str, Any] = {**QUEUED_JOB, "status": "canceled", "done": True, "finished_at": "2026-01-31T12:00:04Z"}


def shown(example: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An entry of a route's `responses`."""
    return {"content": {"application/json": {"example": example}}, **more}


def page_of(example: dict[str, Any]) -> dict[str, Any]:
    return {"data": [example], "has_more": False}
