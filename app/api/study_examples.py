"""Studies as the OpenAPI pages show them: requests that can be sent as they stand, and answers."""

from typing import Any

from app.api.examples import EVENT, QUEUED_JOB

_STUDY_ID = "study_01m80bjp2w3v8q0x6j5k9d"
_JOB_IDS = (QUEUED_JOB["id"], "job_01m80bjp31a7w2k4z8n6tq", "job_01m80bjp31t5e9c0h3y7vd")

REQUESTS: dict[str, Any] = {
    "recipes": {
        "summary": "Five operating points of pruning beside int8, with controls",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipes": [
                {"preset": "fast"},
                {
                    "steps": [
                        {"technique": "structured_pruning", "ratio": [0.1, 0.25, 0.5, 0.7, 0.9], "criterion": "taylor"},
                        {"technique": "fine_tuning", "epochs": 2},
                    ]
                },
            ],
        },
    },
    "seeds": {
        "summary": "Two recipes that begin alike, each with three seeds",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "recipes": [
                {"steps": [{"technique": "fine_tuning", "epochs": 1}]},
                {"steps": [{"technique": "fine_tuning", "epochs": 1}, {"technique": "static_quantization"}]},
            ],
            "seeds": [0, 1, 2],
            "controls": False,
        },
    },
    "search": {
        "summary": "A search: lose at most one point, be as fast as possible",
        "value": {
            "model": "model_…",
            "dataset": "dataset_…",
            "search": {
                "budget": {"max_quality_drop": 0.01},
                "minimize": "latency",
                "trials": 20,
                "seconds": 1800,
            },
            "outputs": ["auto"],
        },
    },
    "without data": {
        "summary": "Without data, judged by agreement with the upload on random inputs",
        "value": {
            "model": "model_…",
            "recipes": [
                {"preset": "small"},
                {"steps": [{"technique": "magnitude_pruning", "sparsity": [0.3, 0.6]}]},
            ],
            "minimize": "size",
        },
    },
}

STUDY_SUMMARY: dict[str, Any] = {
    "id": _STUDY_ID,
    "object": "study",
    "name": None,
    "status": "queued",
    "done": False,
    "model": QUEUED_JOB["model"],
    "dataset": QUEUED_JOB["dataset"],
    "created_at": "2026-01-31T12:00:03Z",
    "started_at": None,
    "finished_at": None,
    "urls": {
        "self": f"/v1/studies/{_STUDY_ID}",
        **{name: f"/v1/studies/{_STUDY_ID}/{name}" for name in ("events", "report", "cancel")},
        "jobs": f"/v1/jobs?study={_STUDY_ID}",
    },
}

_RECIPES: list[dict[str, Any]] = [
    {"preset": "fast"},
    {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.6, "criterion": "l2"}]},
    {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.6, "criterion": "random"}]},
]


def _point(position: int, control: bool, **figures: Any) -> dict[str, Any]:
    point = {"job": _JOB_IDS[position], "status": "queued", "recipe": _RECIPES[position], "control": control, "seed": 0}
    measured = ("size_bytes", "latency_ms", "macs", "quality", "quality_change", "quality_change_ci95", "speedup")
    return {**point, **dict.fromkeys(measured), "on_front": False, **figures}


QUEUED_STUDY: dict[str, Any] = {
    **STUDY_SUMMARY,
    "request": {"model": QUEUED_JOB["model"], "dataset": QUEUED_JOB["dataset"], "recipes": _RECIPES[:2]},
    "points": [_point(0, False), _point(1, False), _point(2, True)],
    "front": [],
    "best": None,
    "groups": [],
    "baseline": None,
    "metric": None,
    "saved": {"steps_run": 0, "steps_shared": 0, "seconds_saved": 0.0},
    "gate": None,
    "failures": [],
    "warnings": [],
}

CANCELED_STUDY: dict[str, Any] = {
    **QUEUED_STUDY,
    "status": "canceled",
    "done": True,
    "points": [{**point, "status": "canceled"} for point in QUEUED_STUDY["points"]],
    "finished_at": "2026-01-31T12:00:04Z",
}

SUCCEEDED_STUDY: dict[str, Any] = {
    **QUEUED_STUDY,
    "status": "succeeded",
    "done": True,
    "started_at": "2026-01-31T12:00:03Z",
    "finished_at": "2026-01-31T12:01:12Z",
    "points": [
        _point(
            0, False, status="succeeded", size_bytes=42761, latency_ms=0.0908, macs=2440960, quality=0.974,
            quality_change=0.0, speedup=4.465, on_front=True,
        ),
        _point(
            1, False, status="succeeded", size_bytes=143201, latency_ms=0.0751, macs=2440960, quality=0.971,
            quality_change=-0.003, speedup=5.412, on_front=True,
        ),
        _point(
            2, True, status="succeeded", size_bytes=143201, latency_ms=0.0752, macs=2440960, quality=0.312,
            quality_change=-0.662, speedup=5.409,
        ),
    ],
    "front": list(_JOB_IDS[:2]),
    "best": {
        "job": _JOB_IDS[1],
        "met_budget": "measured",
        "why": "Magnitude pruning (sparsity 0.6, criterion l2) is the fastest of the 2 recipes that lose at most 1 "
        "point of accuracy against the upload: 147 kB → 143 kB, 5.41× as fast, accuracy 97.4 % → 97.1 %. It was chosen "
        "by the same test data that it was measured on.",
    },
    "baseline": {"size_bytes": 147448, "latency_ms": 0.4054, "macs": 2440960, "quality": 0.974},
    "metric": "accuracy",
    "saved": {"steps_run": 3, "steps_shared": 0, "seconds_saved": 0.0},
}  # fmt: skip

STUDY_EVENT: dict[str, Any] = {
    **EVENT,
    "type": "job_ended",
    "data": {"job": _JOB_IDS[0], "status": "succeeded", "control": False},
}
