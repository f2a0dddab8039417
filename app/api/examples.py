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
    "architecture_from": None,
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
        "macs": 2440960,
        "layers": [
            {"name": "conv1", "type": "Conv2d", "parameters": 320, "macs": 194688, "output_shape": [1, 32, 26, 26]},
            {"name": "conv2", "type": "Conv2d", "parameters": 18496, "macs": 2230272, "output_shape": [1, 64, 11, 11]},
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

WEIGHTS_ALONE: dict[str, Any] = {
    **UPLOADED_MODEL,
    "name": "checkpoint",
    "status": "ready",
    "format": "safetensors",
    "inputs": None,
    "inputs_from": None,
    "facts": {
        "parameters": 16010,
        "macs": None,
        "runs": False,
        "layers": [{"name": "fc", "type": "weights", "parameters": 16010, "macs": None, "output_shape": None}],
        "editable": "no",
        "blocked_by": [
            {"operator": "forward", "where": "the file", "advice": "Send its `architecture` along, for example …"}
        ],
        "outputs": ["state_dict"],
        "techniques": [
            {"technique": "weight_quantization", "available": True, "reason": None},
            {"technique": "fine_tuning", "available": False, "reason": "it needs the network of the weights"},
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
    "transform": None,
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
    "study": None,
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

QUEUED_SENSITIVITY: dict[str, Any] = {
    **QUEUED_JOB,
    "kind": "sensitivity",
    **dict.fromkeys(("recipe", "outputs", "minimize", "measure", "limits")),
}

RUNNING_JOB: dict[str, Any] = {
    **QUEUED_JOB,
    "status": "running",
    "attempt": 1,
    "progress": {"fraction": 0.4, "step": 0, "message": "calibrating"},
    "started_at": "2026-01-31T12:00:03Z",
}

CANCELED_JOB: dict[str, Any] = {**QUEUED_JOB, "status": "canceled", "done": True, "finished_at": "2026-01-31T12:00:04Z"}


def _measurement(size_bytes: int, median: float, p95: float, memory_mb: float, cosine: float) -> dict[str, Any]:
    return {
        "size_bytes": size_bytes,
        "parameters": 34826,
        "nonzero_parameters": 34826,
        "macs": 2440960,
        "latency_ms": [{"batch_size": 1, "threads": 1, "median": median, "p95": p95, "samples": [median, p95]}],
        "peak_memory_mb": memory_mb,
        "quality": {
            "metric": "accuracy",
            "value": 0.974,
            "examples": 1000,
            "labelled": True,
            "synthetic": False,
            "agreement": 1.0,
            "cosine": cosine,
            "kl_divergence": 0.0,
        },
    }


_COMPRESSED = _measurement(42761, 0.0908, 0.1959, 18.5, 0.99997)

SUCCEEDED_JOB: dict[str, Any] = {
    **RUNNING_JOB,
    "status": "succeeded",
    "done": True,
    "progress": {"fraction": 1.0, "step": None, "message": "Writing the report"},
    "result": {
        "baseline": _measurement(147448, 0.4054, 11.1789, 23.6, 1.0),
        "compressed": _COMPRESSED,
        "steps": [{"technique": "static_quantization", "seconds": 0.98, "after": _COMPRESSED}],
        "best": "model.onnx",
        "comparison": {
            "size_ratio": 3.448,
            "parameter_ratio": 1.0,
            "macs_ratio": 1.0,
            "speedup": {"median": 4.465, "ci95": [4.343, 4.549], "runtime_only": 5.439, "compression_only": 0.821},
            "quality_change": 0.0,
            "quality_change_ci95": [-0.002, 0.002],
        },
        "artifacts": [
            {
                "name": "model.onnx",
                "format": "onnx",
                "size_bytes": 42761,
                "sha256": _HASH,
                "url": f"/v1/jobs/{_JOB_ID}/artifacts/model.onnx",
                "measured": _COMPRESSED,
                "verified": {"loaded": True, "max_difference": None, "cosine": 0.99997},
            }
        ],
        "environment": {"cpu": "x86-64", "isa": ["avx2"], "threads": 1, "versions": {"onnxruntime": "1.31.1"}},
        "warnings": ["All of the speed-up comes from the runtime: even uncompressed, the network is faster there."],
    },
    "finished_at": "2026-01-31T12:00:15Z",
}

PLAN: dict[str, Any] = {
    "object": "plan",
    "model": _MODEL_ID,
    "dataset": _DATASET_ID,
    "steps": [
        {"technique": "static_quantization", "parameters": 34826, "macs": 2440960, "size_bytes": 37039},
    ],
    "predicted": {
        "size_bytes": 37039,
        "parameters": 34826,
        "nonzero_parameters": 34826,
        "macs": 2440960,
        "seconds": 4.6,
        "memory_mb": 310.7,
    },
    "files": [{"name": "model.onnx", "format": "onnx", "size_bytes": 37039}],
    "basis": {
        "parameters": "By layer: a share removed of a layer's outputs is removed of the inputs of the next one, too.",
        "macs": "By layer, in proportion to its weights.",
        "size_bytes": "Weights times their bits, scales, and what the format says around them.",
        "seconds": "Training to its last epoch, as fast as the last 12 jobs on this model.",
        "memory_mb": "A process with torch in it, and five copies of the weights.",
    },
    "warnings": [],
}

ARTIFACT: dict[str, Any] = {
    "name": "model.onnx",
    "media_type": "application/octet-stream",
    "size_bytes": 42761,
    "sha256": _HASH,
    "url": f"/v1/jobs/{_JOB_ID}/artifacts/model.onnx",
}

EVENT: dict[str, Any] = {
    "id": 17,
    "type": "progress",
    "time": "2026-01-31T12:00:05Z",
    "data": {"fraction": 0.4, "step": 0, "message": "calibrating"},
}
EVENT_STREAM = """\
event: progress
data: {"id":17,"type":"progress","time":"2026-01-31T12:00:05Z","data":{"fraction":0.4}}
id: 17

event: done
data: {"id": "job_01m80bjnj90khygrdaa7cz", "status": "succeeded", "url": "/v1/jobs/job_01m80bjnj90khygrdaa7cz"}
id: 26
"""


def shown(example: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An entry of a route's `responses`."""
    return {"content": {"application/json": {"example": example}}, **more}


def shown_each(**named: dict[str, Any]) -> dict[str, Any]:
    """The same with several examples, by what they are of."""
    examples = {name: {"summary": name.replace("_", " "), "value": example} for name, example in named.items()}
    return {"content": {"application/json": {"examples": examples}}}


def page_of(example: dict[str, Any]) -> dict[str, Any]:
    return {"data": [example], "has_more": False}
