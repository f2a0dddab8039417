"""State dicts without the zeros that pruning has left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from app.core.architectures import ARCHITECTURE
from app.core.errors import Invalid
from app.core.job_files import ModelFile
from app.core.recipes import MagnitudePruning, WeightQuantization
from tests.worker.importance.runs import network_of
from worker.exporting.state_dict import export_state_dict
from worker.loading import load_network
from worker.network import Network
from worker.run import Run
from worker.techniques import apply


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"


def pruned(sparsity: float) -> Network:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 30, 3), nn.ReLU(), nn.Flatten(), nn.Linear(30 * 16, 50), nn.Linear(50, 3))
    network = network_of(layers, (3, 6, 6))
    return apply(MagnitudePruning(sparsity=sparsity), network, Run(0, lambda _message: None, network))


def test_zeros_take_a_bit_each(folder: Path) -> None:
    network = pruned(0.9)
    export_state_dict(network, folder / "model.safetensors")
    size = (folder / "model.safetensors").stat().st_size
    assert size < network.nonzero_parameters * 4 + network.parameters / 8 + 4096
    assert size < 0.2 * network.parameters * 4


def test_without_zeros_every_tensor_is_stored_as_it_is(folder: Path) -> None:
    network = pruned(0.0)
    description, _ = export_state_dict(network, folder / "model.safetensors")
    assert "packed" not in json.loads(description.read_text())
    stored, weights = load_file(folder / "model.safetensors"), network.module.state_dict()
    assert all(torch.equal(stored[name], weights[name]) for name in weights)


def test_the_loader_beside_it_needs_only_torch_safetensors_and_numpy(folder: Path) -> None:
    network = pruned(0.8)
    export_state_dict(network, folder / "model.safetensors")
    x = torch.randn(2, 3, 6, 6)
    torch.save({"x": x, "y": network.run(x)[0]}, folder / "expected.pt")
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "import torch\nfrom load_network import load_network\n"
        "network = load_network('network.json', 'model.safetensors')\n"
        "expected = torch.load('expected.pt')\n"
        "torch.testing.assert_close(network(expected['x']), expected['y'])\n"
        "assert not {'app', 'worker', 'modelpress', 'onnx'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read_again(folder: Path) -> Network:
    description = json.loads((folder / "network.json").read_text())
    architecture = ARCHITECTURE.validate_python({"source": "network", "network": description})
    fields = {"path": "inputs/model.safetensors", "format": "safetensors", "architecture": architecture}
    return load_network(ModelFile.model_validate(fields | {"inputs": description["inputs"]}), folder.parent, None)


def test_the_service_reads_it_back(folder: Path) -> None:
    network = pruned(0.8)
    export_state_dict(network, folder / "model.safetensors")
    again = read_again(folder)
    before, after = network.module.state_dict(), again.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "damage",
    [
        {"3.weight.shape": torch.tensor([1 << 20, 1 << 20])},
        {"3.weight.shape": torch.tensor([-1])},
        {"3.weight.mask": torch.zeros(3, dtype=torch.uint8)},
        {"3.weight": torch.zeros(5)},
    ],
    ids=["a shape beyond the mask", "a negative shape", "a short mask", "too few values"],
)
def test_a_damaged_one_is_refused(folder: Path, damage: dict[str, torch.Tensor]) -> None:
    export_state_dict(pruned(0.8), folder / "model.safetensors")
    save_file(load_file(folder / "model.safetensors") | damage, folder / "model.safetensors")
    with pytest.raises(Invalid) as caught:
        read_again(folder)
    assert caught.value.code == "architecture_malformed"


def pruned_and_rounded() -> Network:
    network = pruned(0.8)
    return apply(WeightQuantization(method="symmetric"), network, Run(0, lambda _message: None, network))


def test_what_repeats_itself_is_a_zlib_stream(folder: Path) -> None:
    """8 bits of which most are zeros take less than a bit for each zero."""
    network = pruned_and_rounded()
    description, _ = export_state_dict(network, folder / "model.safetensors")
    described = json.loads(description.read_text())
    assert described["deflated"]["3.weight"] == {"dtype": "int8", "shape": [50, 480]}
    assert len(load_file(folder / "model.safetensors")["3.weight"]) < 0.5 * 50 * 480
    again = read_again(folder).module.state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in network.module.state_dict().items())


def test_what_does_not_shrink_stays_as_it_is(folder: Path) -> None:
    network = pruned(0.0)
    network = apply(WeightQuantization(method="kmeans", bits=4), network, Run(0, lambda _message: None, network))
    description, _ = export_state_dict(network, folder / "model.safetensors")
    assert "deflated" not in json.loads(description.read_text())


@pytest.mark.parametrize(
    "damage",
    [
        {"shape": [50, 479]},
        {"shape": [1 << 30, 1 << 9]},
        {"shape": [0]},
        {"dtype": "int64"},
    ],
    ids=["more in it than its shape takes", "far less", "nothing", "another type"],
)
def test_a_stream_that_holds_something_else_is_refused(folder: Path, damage: dict[str, object]) -> None:
    description, _ = export_state_dict(pruned_and_rounded(), folder / "model.safetensors")
    described = json.loads(description.read_text())
    described["deflated"]["3.weight"] |= damage
    description.write_text(json.dumps(described))
    with pytest.raises(Invalid) as caught:
        read_again(folder)
    assert caught.value.code == "architecture_malformed"
