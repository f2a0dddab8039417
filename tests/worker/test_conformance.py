"""What every technique promises, by construction over all techniques and kinds of networks."""

from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import pytest
import torch

from app.core.expected import ExpectedNetwork
from app.core.facts import ModelInspection
from app.core.job_files import ModelFile
from app.core.plans.sizes import size_in
from app.core.recipes import TECHNIQUES
from app.core.tasks import Compression
from tests.worker.jobs import MODEL, compress, file_of, inspected, job_folder, measured, sha256
from tests.worker.networks import NETWORKS, Example

# Its convolutions and its linear layer all answer in different shapes: none can be left out.
UNAVAILABLE = {("layer_pruning", "cnn")}
COMBINATIONS = [(t, network) for t in TECHNIQUES for network in NETWORKS if (t, network) not in UNAVAILABLE]
# What a technique takes away where it finds least: one block of many; only linear layers where an LSTM has the most.
MOST_LEFT = {"layer_pruning": 0.95, "low_rank_factorization": 0.98}

# How far a prediction may be from the truth, as a fraction of it.
MOST_PARAMETERS_OFF = {
    "structured_pruning": 0.25,
    "layer_pruning": 0.3,
    "low_rank_factorization": 0.45,
    "quantization_aware_training": 0.01,  # a batch norm becomes the bias of the layer before it
}
MOST_SIZE_OFF = {"low_rank_factorization": 0.4, "mixed_precision": 0.6}


@dataclass(frozen=True)
class Case:
    name: str
    example: Example
    folder: Path
    upload: str
    model: ModelFile
    inspection: ModelInspection
    compression: Compression

    def path(self, name: str) -> Path:
        return self.folder / file_of(self.compression, name).path


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda pair: "-".join(pair))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    technique, name = request.param
    folder = job_folder(tmp_path_factory.mktemp(name), NETWORKS[name])
    upload = sha256(folder / MODEL)
    model, inspection = inspected(folder)
    compression = compress(folder, (TECHNIQUES[technique](),), model=model)
    return Case(name, NETWORKS[name], folder, upload, model, inspection, compression)


def answers(path: Path, inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path)
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0])


def test_every_technique_is_available(case: Case) -> None:
    """Or not, for a reason."""
    for told in case.inspection.facts.techniques:
        assert told.available == ((told.technique, case.name) not in UNAVAILABLE)
        assert told.available == (told.reason is None)


def test_shapes_are_kept_for_any_batch(case: Case) -> None:
    for batch in (1, 7):
        inputs = case.example.inputs(batch)
        assert answers(case.path("model.onnx"), inputs).shape == case.example.network()(inputs).shape


def test_the_upload_is_untouched(case: Case) -> None:
    assert sha256(case.folder / MODEL) == case.upload


def test_the_same_seed_gives_the_same_answers(case: Case, tmp_path: Path) -> None:
    inputs = case.example.inputs(5)
    first = answers(case.path("model.onnx"), inputs)
    again = compress(
        job_folder(tmp_path / "again", case.example),
        tuple(TECHNIQUES[step.technique]() for step in case.compression.steps),
        model=case.model,
    )
    second = answers(tmp_path / "again" / file_of(again, "model.onnx").path, inputs)
    assert torch.equal(first, second)


def test_every_file_loads_afresh_and_agrees(case: Case) -> None:
    for file in case.compression.files:
        verified = measured(case.folder, case.model, file).verified
        assert verified.loaded
        if file.quantized:
            assert verified.cosine > 0.98
        else:
            assert verified.max_difference <= 1e-4


def test_the_number_that_it_claims_to_move_has_moved(case: Case) -> None:
    before, after = file_of(case.compression, "uncompressed.onnx"), file_of(case.compression, "model.onnx")
    (step,) = (TECHNIQUES[step.technique] for step in case.compression.steps)
    if step.stage == "prune":
        assert (
            after.nonzero_parameters
            < MOST_LEFT.get(step.model_fields["technique"].default, 0.7) * before.nonzero_parameters
        )
    if step.stage == "quantize":
        assert case.path("model.onnx").stat().st_size < case.path("uncompressed.onnx").stat().st_size


def test_it_leaves_about_what_was_predicted(case: Case) -> None:
    (technique,) = (step.technique for step in case.compression.steps)
    left = TECHNIQUES[technique]().expected(ExpectedNetwork.of(case.inspection.facts))
    file, size = file_of(case.compression, "model.onnx"), case.path("model.onnx").stat().st_size
    assert left.parameters == pytest.approx(file.parameters, rel=MOST_PARAMETERS_OFF.get(technique, 0.001))
    assert size_in(left, "onnx") == pytest.approx(size, rel=MOST_SIZE_OFF.get(technique, 0.3))
