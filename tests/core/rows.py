"""Models and data sets as the tests need them, without their files."""

import time
from typing import Any

from app.core.facts import LayerFacts, ModelFacts, ModelInspection, TechniqueFacts
from app.core.inputs import InputSpec
from app.core.recipes import TECHNIQUES
from app.core.sandbox import ActResult, SandboxReport
from app.core.tables import DatasetRow, ModelRow

FACTS = ModelFacts(
    parameters=10,
    macs=10,
    layers=(LayerFacts(name="fc", type="Linear", parameters=10, macs=10, output_shape=(1, 2)),),
    editable="whole",
    techniques=tuple(TechniqueFacts(technique=name, available=True) for name in TECHNIQUES),
)

SANDBOX = SandboxReport(
    level="full",
    landlock=7,
    seccomp=True,
    missing=(),
    ok=True,
    results=(
        ActResult(act="read /etc/passwd", expected="refused", seen="refused (Permission denied)", ok=True),
        ActResult(act="multiply matrices", expected="works", seen="works", ok=True),
    ),
)


def model_row(identifier: str = "model_1", status: str = "ready", facts: ModelFacts = FACTS, **values: Any) -> ModelRow:
    inspection = ModelInspection(facts=facts, inputs=(InputSpec(name="x", shape=("batch", 4)),), inputs_from="given")
    return ModelRow(
        id=identifier,
        status=status,
        inspection=inspection.model_dump(mode="json") if status == "ready" else None,
        problem={"code": "load_failed", "title": "t", "detail": "d"} if status == "rejected" else None,
        **{
            "owner": "local",
            "name": "m",
            "format": "torchscript",
            "size_bytes": 1,
            "sha256": "0",
            "file_key": f"models/{identifier}",
            "created_at": time.time(),
            **values,
        },
    )


def dataset_row(identifier: str = "dataset_1", task: str = "classification", **values: Any) -> DatasetRow:
    labels = {} if task == "unlabelled" else {"y_train": {"shape": [8], "dtype": "int64"}}
    arrays = {"x_train": {"shape": [8, 4], "dtype": "float32"}, **labels}
    return DatasetRow(
        id=identifier,
        facts={"arrays": arrays, "task": task, "examples": {"train": 8, "test": 40}, "classes": 2},
        arrays=arrays,
        **{
            "owner": "local",
            "name": "d",
            "status": "ready",
            "format": "npz",
            "size_bytes": 1,
            "sha256": "0",
            "file_key": f"datasets/{identifier}",
            "created_at": time.time(),
            **values,
        },
    )
