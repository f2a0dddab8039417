"""Weights that take the network of an uploaded archive."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from app.core.architectures import ModelArchitecture
from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.recipes import TECHNIQUES
from app.core.tasks import InspectModel
from tests.worker.jobs import MODEL, compress, save_torchscript, silent
from tests.worker.networks import NETWORKS
from worker.inputs import random_inputs
from worker.loading import load_network
from worker.pipeline import perform

BASE = "inputs/base"
ARCHITECTURE = ModelArchitecture(source="model", model="model_1")
THESE_WEIGHTS = ModelFile(
    path=MODEL, format="safetensors", architecture=ARCHITECTURE, base=ModelFile(path=BASE, format="torchscript")
)


class WithPositions(nn.Module):
    """Its table is in no state dict, but an archive keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positions", torch.arange(20.0), persistent=False)
        self.fc = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x + self.positions)


def folder_with(folder: Path, base: nn.Module, weights: dict[str, Tensor], example: str = "mlp") -> Path:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir()
    save_torchscript(folder / BASE, base.eval(), NETWORKS[example])
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, folder / MODEL)
    return folder


def trained(network: nn.Module) -> nn.Module:
    """The same network with other values in every tensor that computes."""
    generator = torch.Generator().manual_seed(7)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor + torch.rand(tensor.shape, generator=generator) / 4)
    return network.eval()


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "lstm"])
def test_the_archives_network_answers_with_the_new_weights(tmp_path: Path, name: str) -> None:
    newer = trained(NETWORKS[name].network())
    folder = folder_with(tmp_path, NETWORKS[name].network(), newer.state_dict(), name)
    inspected = perform(InspectModel(model=THESE_WEIGHTS.model_copy(update={"inputs": _inputs(name)})), folder, silent)
    network = load_network(THESE_WEIGHTS.model_copy(update={"inputs": inspected.inputs}), folder, None)
    examples = random_inputs(inspected.inputs, 3, seed=1)
    with torch.no_grad():
        assert torch.allclose(network.run(*examples)[0], newer(*examples), atol=1e-5)
    assert all(parameter.requires_grad for parameter in network.module.parameters())


def _inputs(name: str) -> tuple[InputSpec, ...]:
    return (InputSpec(name="x", shape=("batch", *NETWORKS[name].shape)),)


class Wrapped(nn.Module):
    """Of whose tensors all begin with `module.`, as if several GPUs had trained it."""

    def __init__(self) -> None:
        super().__init__()
        self.module = NETWORKS["residual"].network()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("base", [NETWORKS["residual"].network, Wrapped])
def test_the_prefix_of_data_parallel_makes_no_difference(
    tmp_path: Path, base: Callable[[], nn.Module], prefix: str
) -> None:
    newer = trained(NETWORKS["residual"].network())
    weights = {f"{prefix}{name}": tensor for name, tensor in newer.state_dict().items()}
    folder = folder_with(tmp_path, base(), weights, "residual")
    network = load_network(THESE_WEIGHTS.model_copy(update={"inputs": _inputs("residual")}), folder, None)
    examples = random_inputs(network.inputs, 3, seed=1)
    with torch.no_grad():
        assert torch.allclose(network.run(*examples)[0], newer(*examples), atol=1e-5)


def test_it_is_compressed_as_any_other(tmp_path: Path) -> None:
    newer = trained(NETWORKS["mlp"].network())
    folder = folder_with(tmp_path, NETWORKS["mlp"].network(), newer.state_dict())
    model = THESE_WEIGHTS.model_copy(update={"inputs": _inputs("mlp")})
    step = TECHNIQUES["magnitude_pruning"](technique="magnitude_pruning")
    compression = compress(folder, (step,), with_data=False, model=model)
    artifact = next(file for file in compression.files if file.role == "artifact")
    assert artifact.nonzero_parameters < artifact.parameters == sum(one.numel() for one in newer.parameters())


def test_buffers_that_a_state_dict_leaves_out_stay_the_archives(tmp_path: Path) -> None:
    newer = trained(WithPositions())
    folder = folder_with(tmp_path, WithPositions(), newer.state_dict())
    network = load_network(THESE_WEIGHTS.model_copy(update={"inputs": _inputs("mlp")}), folder, None)
    x = torch.rand(2, 20)
    assert torch.allclose(network.run(x)[0], newer(x))


def test_statistics_of_a_norm_must_be_there(tmp_path: Path) -> None:
    weights = NETWORKS["residual"].network().state_dict()
    missing = next(name for name in weights if name.endswith("running_var"))
    del weights[missing]
    folder = folder_with(tmp_path, NETWORKS["residual"].network(), weights, "residual")
    with pytest.raises(Invalid, match=f"no {missing}") as caught:
        load_network(THESE_WEIGHTS, folder, None)
    assert caught.value.code == "weights_do_not_fit"


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, NETWORKS["mlp"].network(), {"weight": torch.zeros(3)})
    with pytest.raises(Invalid, match="no place for weight") as caught:
        load_network(THESE_WEIGHTS, folder, None)
    assert caught.value.code == "weights_do_not_fit"


def test_both_files_count_where_code_must_be_shut_in() -> None:
    assert THESE_WEIGHTS.formats() == {"safetensors", "torchscript"}
