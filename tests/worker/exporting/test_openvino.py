"""Files of OpenVINO: in which bits they are stored, in what they are computed, and that nothing else runs them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.errors import Problem
from app.core.facts import EVERY_FORMAT, PLAIN_FORMATS
from app.core.inputs import InputSpec
from app.core.recipes import FloatCasting, StaticQuantization, Step, WeightQuantization
from app.core.reports.running import lines_to_run
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import NETWORKS, Example
from worker import openvino_extra
from worker.evaluation.arithmetic import arithmetic_of

pytest.importorskip("openvino")
pytest.importorskip("nncf")

FILE = "model.openvino.zip"


def written(folder: Path, *steps: Step, example: Example = NETWORKS["cnn"]) -> Path:
    job = job_folder(folder / "job", example)
    compress(job, steps, outputs=("openvino",))
    return job / "outputs" / FILE


def types_of_weights(path: Path) -> dict[str, str]:
    """Of all constants. Weights have their names of the state dict, but for those that NNCF has rounded."""
    with zipfile.ZipFile(path) as archive:
        model = openvino_extra.openvino().Core().read_model(archive.read("model.xml"), archive.read("model.bin"))
    constants = (each for each in model.get_ordered_ops() if each.get_type_name() == "Constant")
    return {each.get_friendly_name(): each.get_element_type().get_type_name() for each in constants}


def properties(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("properties.json"))


@pytest.mark.parametrize(
    ("step", "weights", "computed_in", "multiplies"),
    [
        (FloatCasting(), "f16", "f32", ()),
        (FloatCasting(dtype="bfloat16"), "bf16", "bf16", ("bfloat16",)),
        (WeightQuantization(), "u8", "f32", ("int8",)),
        (WeightQuantization(method="symmetric"), "i8", "f32", ("int8",)),
        (WeightQuantization(bits=4, group_size=32), "u4", "f32", ("int8",)),
        (WeightQuantization(only=("conv2",)), "u8", "f32", ()),
        (StaticQuantization(calibration="percentile", bias_correction=True), "i8", "f32", ("int8",)),
    ],
    ids=lambda each: getattr(each, "technique", None),
)
def test_weights_are_stored_in_fewer_bits(
    step: Step, weights: str, computed_in: str, multiplies: tuple[str, ...], tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    model, _ = inspected(folder)
    compression = compress(folder, (step,), outputs=("openvino",), model=model)
    measured(folder, model, compression.files[0])
    file = file_of(compression, FILE)
    assert weights in types_of_weights(folder / file.path).values()
    assert properties(folder / file.path) == {"INFERENCE_PRECISION_HINT": computed_in}
    assert arithmetic_of(file, folder) == multiplies
    assert measured(folder, model, file).verified.cosine > 0.99
    plain = folder / file_of(compression, "uncompressed.openvino.zip").path
    assert (folder / file.path).stat().st_size < 0.8 * plain.stat().st_size


def test_what_the_step_must_not_touch_stays_in_float32(tmp_path: Path) -> None:
    for number, step in enumerate(
        (
            FloatCasting(exclude=("fc",)),
            WeightQuantization(exclude=("fc",)),
            StaticQuantization(exclude=("fc",)),
            StaticQuantization(keep_float=("fc",)),
            StaticQuantization(only=("conv*",)),
        )
    ):
        types = types_of_weights(written(tmp_path / str(number), step))
        assert types["fc.weight"] == "f32"
        assert set(types.values()) & {"f16", "u8", "i8"}


def test_recurrent_layers_are_stored_in_halves_and_left_alone_by_int8(tmp_path: Path) -> None:
    example = NETWORKS["lstm"]
    whole = written(tmp_path / "0", example=example).stat().st_size
    assert written(tmp_path / "1", FloatCasting(), example=example).stat().st_size < 0.6 * whole
    with pytest.raises(Problem) as caught:
        written(tmp_path / "2", WeightQuantization(only=("lstm",)), example=example)
    assert caught.value.code == "nothing_quantized"


def test_a_warning_says_that_recurrent_layers_stay_as_they_are(tmp_path: Path) -> None:
    job = job_folder(tmp_path / "job", NETWORKS["lstm"])
    compression = compress(job, (WeightQuantization(),), outputs=("openvino",))
    assert any("recurrent layers stay in float32" in warning for warning in compression.warnings)


def test_the_printed_lines_need_openvino_alone_and_tell_nobody(tmp_path: Path) -> None:
    """Nothing of torch, ONNX or this project can be imported there."""
    path = written(tmp_path)
    lines = lines_to_run(FILE, "openvino", (InputSpec(name="images", shape=("batch", 3, 12, 12)),))
    blocked = ("torch", "onnx", "onnxruntime", "worker", "app", "nncf", "openvino_telemetry")
    script = f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n" + "\n".join(lines) + "\n"
    script += "print(answers[0].shape)"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=path.parent, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(1, 4)"


def test_openvino_is_imported_without_what_tells_its_maker() -> None:
    openvino_extra.openvino()
    openvino_extra.nncf()
    assert sys.modules["openvino_telemetry"] is None


def test_a_worker_without_the_extra_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    assert inspected(folder)[1].facts.outputs == EVERY_FORMAT
    monkeypatch.setattr(openvino_extra, "find_spec", lambda _name: None)
    model, inspection = inspected(folder)
    assert inspection.facts.outputs == PLAIN_FORMATS
    with pytest.raises(Problem, match=r"modelpress\[openvino\]") as caught:
        compress(folder, (), outputs=("openvino",), model=model)
    assert caught.value.code == "output_unavailable"


def test_several_inputs_one_of_them_unread(tmp_path: Path) -> None:
    import torch
    from torch import fx, nn

    from app.core.tasks import WrittenFile
    from worker.evaluation.runtimes import load_runtime
    from worker.exporting import export
    from worker.network import Network

    class Sum(nn.Module):
        def forward(self, first: torch.Tensor, unread: torch.Tensor, last: torch.Tensor) -> tuple[Any, Any]:
            return first + last, first - last

    inputs = tuple(InputSpec(name=name, shape=("batch", 3)) for name in ("first", "unread", "last"))
    export(Network(fx.symbolic_trace(Sum()), inputs), "openvino", tmp_path / FILE)
    file = WrittenFile(
        name=FILE,
        path=f"outputs/{FILE}",
        format="openvino",
        role="artifact",
        parameters=0,
        nonzero_parameters=0,
        macs=None,
    )
    (tmp_path / "outputs").mkdir()
    (tmp_path / FILE).rename(tmp_path / file.path)
    runtime = load_runtime(file, tmp_path, inputs)
    added, subtracted = runtime([torch.full((2, 3), value) for value in (5.0, 9.0, 2.0)])
    assert np.array_equal(added, np.full((2, 3), 7.0))
    assert np.array_equal(subtracted, np.full((2, 3), 3.0))
