"""Floats of 8 bits: what is lost, and that every file holds the same."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import fx

from app.core.inputs import InputSpec
from app.core.recipes import FloatCasting
from app.core.uploads.models import read_model
from tests.worker.jobs import compress, file_of, job_folder, silent
from tests.worker.networks import NETWORKS
from worker.exporting.load_network import load_network
from worker.network import Network
from worker.packing.float8 import to_float8
from worker.run import Run
from worker.techniques import apply

DTYPES = {"float8_e4m3": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}
# Half a step between neighbours, as a fraction of the smaller one: of 3 binary digits and of 2.
LARGEST_ERROR = {"float8_e4m3": 2**-4, "float8_e5m2": 2**-3}


@pytest.mark.parametrize("name", DTYPES)
def test_the_largest_of_a_row_is_exact_and_others_are_near(name: str) -> None:
    """Also in a row of values so small that the type without a scale would hold none of them."""
    weight = torch.randn(6, 100, generator=torch.Generator().manual_seed(0)) * torch.logspace(-8, 3, 6).unsqueeze(1)
    found = to_float8(weight, DTYPES[name], 6).unpacked()
    largest = weight.abs().argmax(1, keepdim=True)
    assert torch.allclose(found.gather(1, largest), weight.gather(1, largest), rtol=1e-6)
    near = weight.abs() > weight.abs().amax(1, keepdim=True) / 100
    assert ((found - weight).abs() <= LARGEST_ERROR[name] * weight.abs() * 1.001)[near].all()


def test_a_row_of_zeros_stays_one() -> None:
    weight = torch.cat([torch.zeros(1, 8), torch.ones(1, 8)])
    assert torch.equal(to_float8(weight, torch.float8_e5m2, 2).unpacked(), weight)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("kind", ["residual", "lstm", "transformer"])
def test_every_file_answers_as_the_network_that_it_was_written_from(kind: str, name: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS[kind])
    compression = compress(folder, (FloatCasting(dtype=name),), outputs=("onnx", "torchscript", "state_dict"))
    probe = np.load(folder / str(file_of(compression, "model.onnx").probe))
    (asked,) = (name for name in probe.files if name.startswith("input."))
    wanted = torch.from_numpy(probe["output.0"])
    outputs = folder / "outputs"
    session = onnxruntime.InferenceSession(outputs / "model.onnx")
    answers = {
        "onnx": torch.from_numpy(session.run(None, {asked.removeprefix("input."): probe[asked]})[0]),
        "torchscript": torch.jit.load(outputs / "model.torchscript.pt")(torch.from_numpy(probe[asked])),
        "state_dict": load_network(outputs / "network.json", outputs / "model.safetensors")(
            torch.from_numpy(probe[asked])
        ),
    }
    for given in answers.values():
        assert torch.allclose(given, wanted, atol=1e-5)
    exact = NETWORKS[kind].network()(torch.from_numpy(probe[asked]))
    assert torch.nn.functional.cosine_similarity(exact.flatten(), wanted.flatten(), dim=0) > 0.99


def test_the_files_are_small_and_can_be_uploaded_again(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    compress(folder, (FloatCasting(dtype="float8_e4m3"),), outputs=("torchscript", "state_dict"))
    outputs = folder / "outputs"
    stored = load_file(outputs / "model.safetensors")
    assert stored["fc.weight"].dtype is torch.uint8
    assert stored["fc.bias"].dtype is torch.float32
    for name in ("model.torchscript.pt", "model.safetensors"):
        assert read_model(outputs / name, name)


def test_weights_that_are_not_finite_stay_and_are_named() -> None:
    module = fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.Linear(64, 64)).eval())
    with torch.no_grad():
        module.get_parameter("0.weight")[0, 0] = float("inf")
    network = Network(module, (InputSpec(name="x", shape=("batch", 20), dtype="float32"),))
    run = Run(0, silent, network)
    changed = apply(FloatCasting(dtype="float8_e4m3"), network, run)
    assert set(changed.packed) == {"1.weight"}
    assert run.warnings == ["`0.weight` stays in float32: it has values that float8_e4m3 can't hold."]
