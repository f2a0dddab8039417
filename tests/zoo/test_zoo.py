"""Networks of timm and torchvision. Runs in an environment of its own: `make zoo`."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from app.core.architectures import ZooArchitecture
from app.core.errors import Invalid
from app.core.facts import ModelInspection
from app.core.job_files import ModelFile
from app.core.recipes import TECHNIQUES
from app.core.tasks import Compress, InspectModel
from worker.inputs import random_inputs
from worker.loading import load_network
from worker.network import tensors_in
from worker.pipeline import perform

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = "inputs/model.safetensors"
TEN = {"num_classes": 10}


def silent(_message: object) -> None:
    pass


def source_of(architecture: ZooArchitecture) -> nn.Module:
    torch.manual_seed(0)
    if architecture.source == "timm":
        return timm.create_model(architecture.name, **architecture.arguments).eval()
    return models.get_model(architecture.name, weights=None, **architecture.arguments).eval()


def folder_with(folder: Path, weights: dict[str, Tensor]) -> Path:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir()
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, folder / MODEL)
    return folder


def inspect(folder: Path, architecture: ZooArchitecture) -> tuple[ModelFile, ModelInspection]:
    model = ModelFile(path=MODEL, format="safetensors", architecture=architecture)
    found = perform(InspectModel(model=model), folder, silent)
    return model.model_copy(update={"inputs": found.inputs, "inputs_from": found.inputs_from}), found


@pytest.mark.parametrize(
    ("source", "name", "arguments", "size"),
    [
        ("torchvision", "resnet18", TEN, 224),
        ("torchvision", "mobilenet_v3_small", TEN, 224),
        ("torchvision", "vit_b_32", TEN, 224),
        ("torchvision", "regnet_x_400mf", TEN, 224),
        ("timm", "resnet10t", TEN, 176),
        ("timm", "mobilenetv3_small_050", TEN, 224),
        ("timm", "vit_tiny_patch16_224.augreg_in21k", {**TEN, "img_size": 96}, 96),
        ("timm", "convnext_atto", TEN, 224),
        ("timm", "swin_tiny_patch4_window7_224", {**TEN, "depths": [1, 1, 1, 1]}, 224),
        ("timm", "efficientnet_b0", TEN, 224),
        ("timm", "regnety_002", {**TEN, "in_chans": 1}, 224),
    ],
)
def test_the_rebuilt_network_answers_as_its_source(
    tmp_path: Path, source: str, name: str, arguments: dict[str, int], size: int
) -> None:
    architecture = ZooArchitecture(source=source, name=name, arguments=arguments)
    network = source_of(architecture)
    folder = folder_with(tmp_path, network.state_dict())
    model, found = inspect(folder, architecture)
    assert (found.inputs_from, found.facts.editable) == ("guessed", "whole")
    assert found.inputs[0].shape == ("batch", arguments.get("in_chans", 3), size, size)
    examples = random_inputs(found.inputs, 3, seed=1)
    with torch.no_grad():
        expected = tensors_in(network(*examples))
    rebuilt = load_network(model, folder, None)
    assert torch.allclose(rebuilt.run(*examples)[0], expected[0], atol=1e-4)
    moved = set(rebuilt.module.meta["renamed"].values())  # an attention's projections become layers of their own
    assert network.state_dict().keys() - moved <= rebuilt.module.state_dict().keys()


def test_it_is_compressed_as_any_other(tmp_path: Path) -> None:
    architecture = ZooArchitecture(source="torchvision", name="resnet18", arguments=TEN)
    folder = folder_with(tmp_path, source_of(architecture).state_dict())
    model, _ = inspect(folder, architecture)
    step = TECHNIQUES["magnitude_pruning"](technique="magnitude_pruning")
    task = Compress(model=model, dataset=None, steps=(step,), outputs=("onnx",), seed=0)
    assert "model.onnx" in {file.name for file in perform(task, folder, silent).files}


@pytest.mark.parametrize(
    ("source", "name", "arguments", "code", "words"),
    [
        ("torchvision", "resnet19", {}, "architecture_malformed", "It has"),
        ("timm", "nothing_like_it", {}, "architecture_malformed", "no image network"),
        ("torchvision", "resnet18", {"colour": 3}, "architecture_malformed", "unknown"),
        ("torchvision", "resnet18", {}, "weights_do_not_fit", r"fc.weight \(file \[10, 512\], network \[1000, 512\]\)"),
        ("timm", "resnet10t", {}, "weights_do_not_fit", "no place for"),
    ],
)
def test_what_can_not_be_built_or_does_not_fit_is_explained(
    tmp_path: Path, source: str, name: str, arguments: dict[str, int], code: str, words: str
) -> None:
    ten = ZooArchitecture(source="torchvision", name="resnet18", arguments=TEN)
    folder = folder_with(tmp_path, source_of(ten).state_dict())
    with pytest.raises(Invalid, match=words) as caught:
        inspect(folder, ZooArchitecture(source=source, name=name, arguments=arguments))
    assert caught.value.code == code
