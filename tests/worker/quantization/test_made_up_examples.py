"""Calibration examples from what batch norms remember."""

from pathlib import Path

import pytest
import torch
from torch import nn

from app.core.errors import Invalid
from app.core.recipes import QuantizationAwareTraining, StaticQuantization
from app.core.recipes.recipe import check_data
from tests.core.rows import FACTS
from tests.worker.jobs import compress, inspected, job_folder, silent
from tests.worker.networks import NETWORKS, Example
from worker.inputs import random_inputs
from worker.loading import load_network
from worker.network import Network
from worker.quantization.made_up_examples import made_up_examples
from worker.run import Run

STATIC = StaticQuantization(examples=16)


class Remembering(nn.Module):
    """Its batch norms have seen inputs about 120, with a deviation of 60, as of images in bytes."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(8, 4)
        self.train()
        with torch.no_grad():
            for _ in range(30):
                self(120 + 60 * torch.randn(16, 3, 8, 8))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.body(images)).mean(dim=[2, 3]))


EXAMPLE = Example(Remembering, (3, 8, 8))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = job_folder(tmp_path_factory.mktemp("network") / "job", EXAMPLE)
    return load_network(inspected(folder)[0], folder, None)


def seen_by_batch_norms(network: Network, inputs: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """How far means and deviations are from those remembered, in deviations."""
    seen = []

    def look(norm: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        channels, spread = given[0].transpose(0, 1).flatten(1), norm.running_var.sqrt()
        seen.append(((channels.mean(1) - norm.running_mean) / spread, channels.std(1) / spread))

    hooks = [m.register_forward_pre_hook(look) for m in network.module.modules() if isinstance(m, nn.BatchNorm2d)]
    network.run(inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_batch_norms_see_what_they_remember(network: Network) -> None:
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    examples = made_up_examples(STATIC, network, Run(0, silent, network))
    (array,) = examples.inputs.values()
    for mean, deviation in seen_by_batch_norms(network, torch.from_numpy(array[:])):
        assert mean.abs().max() < 0.5
        assert 0.5 < deviation.min() <= deviation.max() < 2
    random = random_inputs(network.inputs, 16, seed=0)[0]
    assert seen_by_batch_norms(network, random)[0][1].max() < 0.1
    assert len(examples) == 16
    assert all(torch.equal(before[name], tensor) for name, tensor in network.module.state_dict().items())
    assert all(parameter.grad is None for parameter in network.module.parameters())


def test_the_same_seed_makes_the_same_examples(network: Network) -> None:
    first, again = (made_up_examples(STATIC, network, Run(3, silent, network)) for _ in range(2))
    assert all((first.inputs[name] == again.inputs[name]).all() for name in first.inputs)


@pytest.mark.parametrize("output", ["onnx", "torchscript"])
def test_a_file_is_quantized_without_data_and_says_that_it_is_unverified(tmp_path: Path, output: str) -> None:
    compression = compress(job_folder(tmp_path / "job", EXAMPLE), (STATIC,), outputs=(output,), with_data=False)
    assert any("unverified" in warning for warning in compression.warnings)
    assert any(table.title == "Made-up examples" for table in compression.steps[0].details)
    assert any(file.quantized for file in compression.files)


def test_a_network_without_batch_norms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        compress(job_folder(tmp_path / "job", NETWORKS["cnn"]), (STATIC,), with_data=False)
    assert refused.value.code == "dataset_required"
    with pytest.raises(Invalid, match="weight_quantization") as refused:
        check_data((STATIC,), None, {}, FACTS)
    assert refused.value.code == "dataset_required"


def test_with_batch_norms_only_training_needs_data() -> None:
    norm = FACTS.layers[0].model_copy(update={"type": "BatchNorm2d"})
    facts = FACTS.model_copy(update={"layers": (*FACTS.layers, norm)})
    check_data((STATIC,), None, {}, facts)
    check_data((STATIC,), None, {}, None)
    with pytest.raises(Invalid):
        check_data((QuantizationAwareTraining(),), None, {}, facts)
