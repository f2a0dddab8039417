"""The compress task as a whole: which files, which progress, which refusals."""

from pathlib import Path

import numpy as np
import pytest

from app.core.errors import Invalid
from app.core.messages import Progress
from app.core.recipes import DynamicQuantization, MagnitudePruning, StaticQuantization, WeightQuantization
from app.core.tasks import Candidate, Compress
from tests.worker.jobs import DATA, compress, file_of, inspected, job_folder, save_data, silent
from tests.worker.networks import NETWORKS
from worker.pipeline import perform

PRUNING, STATIC, DYNAMIC = MagnitudePruning(), StaticQuantization(examples=10), DynamicQuantization()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return job_folder(tmp_path / "job", NETWORKS["mlp"])


def listed(compression) -> list[tuple[str, str, int | None, bool]]:
    return [(file.name, file.role, file.step, file.quantized) for file in compression.files]


def test_every_step_has_its_file_and_the_last_ones_is_the_artifact(folder: Path) -> None:
    compression = compress(folder, (PRUNING, STATIC))
    assert listed(compression) == [
        ("model.pt", "upload", None, False),
        ("uncompressed.onnx", "uncompressed", None, False),
        ("step-0.onnx", "step", 0, False),
        ("model.onnx", "artifact", None, True),
        ("step-1.onnx", "step", 1, True),
        ("model.float32.onnx", "artifact", None, False),
    ]
    assert file_of(compression, "step-1.onnx").path == file_of(compression, "model.onnx").path
    assert file_of(compression, "model.float32.onnx").path == file_of(compression, "step-0.onnx").path
    assert all((folder / file.path).exists() and (folder / file.probe).exists() for file in compression.files)
    assert [step.technique for step in compression.steps] == ["magnitude_pruning", "static_quantization"]


def test_without_steps_the_network_is_written_as_it_is(folder: Path) -> None:
    compression = compress(folder, ())
    assert [file.role for file in compression.files] == ["upload", "uncompressed", "artifact"]


FLOAT, INT8 = Candidate(precision="float32", output="onnx", steps=()), StaticQuantization(examples=10)
TRIED = (
    FLOAT,
    Candidate(precision="int8-static", output="onnx", steps=(INT8,)),
    Candidate(precision="impossible", output="onnx", steps=(StaticQuantization(exclude=("*",)),)),
)


def test_candidates_are_written_beside_each_other(folder: Path) -> None:
    task = Compress(
        model=inspected(folder)[0], dataset=DATA, steps=(PRUNING,), outputs=("onnx",), candidates=TRIED, seed=0
    )
    compression = perform(task, folder, silent)
    assert listed(compression) == [
        ("model.pt", "upload", None, False),
        ("uncompressed.onnx", "uncompressed", None, False),
        ("step-0.onnx", "step", 0, False),
        ("model.float32.onnx", "artifact", None, False),
        ("model.int8-static.onnx", "artifact", None, True),
    ]
    assert [file.precision for file in compression.files][-2:] == ["float32", "int8-static"]
    assert any(warning.startswith("model.impossible.onnx was left out.") for warning in compression.warnings)


def titles(compression, name: str) -> list[str]:
    return [table.title for table in file_of(compression, name).details]


def test_a_candidate_tells_what_its_own_steps_did(folder: Path) -> None:
    task = Compress(
        model=inspected(folder)[0], dataset=DATA, steps=(PRUNING,), outputs=("onnx",), candidates=TRIED, seed=0
    )
    compression = perform(task, folder, silent)
    assert titles(compression, "model.float32.onnx") == []
    (table,) = file_of(compression, "model.int8-static.onnx").details
    assert table.title == "Layers"
    assert {"layer", "input scale", "weight sqnr db"} <= set(table.columns)


def test_what_was_said_of_a_candidate_that_is_left_out_is_not_told_of_the_next(folder: Path) -> None:
    quantized = (WeightQuantization(), StaticQuantization(exclude=("*",)))
    tried = (Candidate(precision="impossible", output="onnx", steps=quantized), FLOAT)
    task = Compress(model=inspected(folder)[0], dataset=DATA, steps=(), outputs=("onnx",), candidates=tried, seed=0)
    compression = perform(task, folder, silent)
    assert titles(compression, "model.float32.onnx") == []


def test_a_format_that_is_written_after_the_steps_tells_what_was_done_to_it(folder: Path) -> None:
    compression = compress(folder, (STATIC,), outputs=("onnx", "torchscript"))
    assert "Layers" in [table.title for table in compression.steps[0].details]
    assert titles(compression, "model.onnx") == titles(compression, "model.float32.onnx") == []
    assert titles(compression, "model.torchscript.pt") == ["Layers", "Engines of torch"]


def test_a_state_dict_is_compared_with_the_traced_network(folder: Path) -> None:
    compression = compress(folder, (PRUNING,), outputs=("state_dict",))
    assert [(f.name, f.role) for f in compression.files][1] == ("uncompressed.torchscript.pt", "uncompressed")
    assert file_of(compression, "model.safetensors").companions == ("outputs/network.json", "outputs/load_network.py")


def test_steps_of_a_state_dict_have_their_own_descriptions(folder: Path) -> None:
    compression = compress(folder, (PRUNING, PRUNING), outputs=("state_dict",))
    first, last = file_of(compression, "step-0.safetensors"), file_of(compression, "model.safetensors")
    assert first.companions[0] != last.companions[0]


def test_files_of_one_network_share_a_probe(folder: Path) -> None:
    probes = {file.name: file.probe for file in compress(folder, (PRUNING, DYNAMIC)).files}
    assert probes["model.pt"] == probes["uncompressed.onnx"]
    assert probes["step-0.onnx"] == probes["model.onnx"] != probes["uncompressed.onnx"]


def test_pruning_warns_that_zeros_are_not_faster(folder: Path) -> None:
    assert any("zeros" in warning for warning in compress(folder, (PRUNING,)).warnings)


def test_progress_never_goes_back_and_names_the_step(folder: Path) -> None:
    messages: list[Progress] = []
    model, _ = inspected(folder)
    task = Compress(model=model, dataset=DATA, steps=(PRUNING, STATIC), outputs=("onnx", "torchscript"), seed=0)
    perform(task, folder, lambda message: messages.append(message) if isinstance(message, Progress) else None)
    fractions = [message.fraction for message in messages]
    assert fractions == sorted(fractions)
    assert {message.step for message in messages} == {None, 0, 1}


def test_the_files_probe_holds_the_networks_answers(folder: Path) -> None:
    compression = compress(folder, ())
    probe = np.load(folder / file_of(compression, "model.onnx").probe)
    assert set(probe.files) == {"input.input", "output.0"}
    assert probe["output.0"].shape == (len(probe["input.input"]), 4)


@pytest.mark.parametrize(
    ("replaced", "code"),
    [
        ({"x_train": np.zeros((40, 21), np.float32), "x_test": np.zeros((20, 21), np.float32)}, "data_does_not_fit"),
        ({"y_test": np.full(20, 4)}, "labels_out_of_range"),
        ({"y_train": np.zeros((40, 3)), "y_test": np.zeros((20, 3))}, "data_does_not_fit"),
        ({"x_test": np.full((20, 20), 1e300)}, "values_too_large"),
        ({"y_train": np.full((40, 4), 1e300), "y_test": np.zeros((20, 4))}, "values_too_large"),
    ],
    ids=["shape", "label", "target", "beyond float32", "target beyond float32"],
)
def test_data_that_does_not_fit_is_refused(folder: Path, replaced: dict[str, np.ndarray], code: str) -> None:
    model, _ = inspected(folder)
    save_data(folder / DATA.path, NETWORKS["mlp"], **replaced)
    with pytest.raises(Invalid) as caught:
        compress(folder, (STATIC,), model=model)
    assert caught.value.code == code


def test_values_beyond_the_vocabulary_are_refused(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["transformer"])
    model, _ = inspected(folder)
    save_data(folder / DATA.path, NETWORKS["transformer"], x_test=np.full((20, 12), 50))
    with pytest.raises(Invalid, match="0 to 50") as caught:
        compress(folder, (DYNAMIC,), model=model)
    assert caught.value.code == "data_does_not_fit"
