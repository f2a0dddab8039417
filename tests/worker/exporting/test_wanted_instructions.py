"""What each technique's file computes in, for each format that holds it. The report and the bundle's run.py say by that
which instructions of a CPU it wants."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.core.instructions import Arithmetic
from app.core.measurements import OutputFormat
from app.core.recipes import (
    TECHNIQUES,
    DynamicQuantization,
    FloatCasting,
    MagnitudePruning,
    MixedPrecision,
    QuantizationAwareTraining,
    StaticQuantization,
    Step,
    WeightQuantization,
)
from tests.worker.jobs import compress, inspected, job_folder
from tests.worker.networks import NETWORKS
from worker.evaluation.arithmetic import arithmetic_of

pytest.importorskip("nncf")

Computed = Mapping[OutputFormat, tuple[Arithmetic, ...]]
INT8: tuple[Arithmetic, ...] = ("int8",)
PACKED: Computed = {"onnx": (), "torchscript": (), "state_dict": ()}
WRITTEN: list[tuple[Step, Computed]] = [
    (MagnitudePruning(), {**PACKED, "exported_program": (), "openvino": ()}),
    (StaticQuantization(examples=8), {"onnx": INT8, "torchscript": INT8, "openvino": INT8}),
    (DynamicQuantization(), {"onnx": INT8, "torchscript": INT8}),
    (QuantizationAwareTraining(epochs=1, examples=8), {"onnx": INT8, "torchscript": INT8}),
    (WeightQuantization(), {**PACKED, "onnx": INT8, "openvino": INT8}),
    (WeightQuantization(bits=4, group_size=32), {**PACKED, "onnx": INT8, "openvino": INT8}),
    (WeightQuantization(bits=3), PACKED),
    (WeightQuantization(method="kmeans", bits=4), PACKED),
    (WeightQuantization(method="ternary"), {**PACKED, "onnx": INT8}),
    (WeightQuantization(method="binary"), PACKED),
    (FloatCasting(), {**PACKED, "openvino": ()}),
    (FloatCasting(dtype="bfloat16"), {"onnx": (), "state_dict": (), "openvino": ("bfloat16",)}),
    (FloatCasting(dtype="float8_e4m3"), PACKED),
    (FloatCasting(dtype="float8_e5m2"), PACKED),
    (MixedPrecision(), {**PACKED, "onnx": INT8}),
]


@pytest.mark.parametrize(("step", "computed"), WRITTEN, ids=lambda each: getattr(each, "technique", None))
def test_a_file_tells_in_what_it_computes(step: Step, computed: Computed, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    compression = compress(folder, (step,), outputs=tuple(computed), model=inspected(folder)[0])
    files = [file for file in compression.files if file.role == "artifact" and "float32" not in file.name]
    assert {file.format: arithmetic_of(file, folder) for file in files} == computed


def test_no_technique_that_quantizes_is_missing() -> None:
    assert {name for name, each in TECHNIQUES.items() if each.stage == "quantize"} <= {s.technique for s, _ in WRITTEN}
