"""On the trained example network the criteria select different weights, and beat chance."""

from itertools import combinations
from pathlib import Path

import pytest
import torch

from app.core.job_files import DatasetFile, ModelFile
from app.core.recipes import MagnitudePruning
from app.core.tasks import InspectModel
from worker.data import open_dataset
from worker.data_fit import fitting_data
from worker.inspection import inspect_model
from worker.loading import load_network
from worker.network import Network
from worker.run import Run
from worker.sparsity.criteria import JUDGES
from worker.techniques import apply

EXAMPLES = Path(__file__).parents[3] / "examples"
DATA = DatasetFile(path="inputs/mnist5k.npz", format="npz")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Run]:
    folder = tmp_path_factory.mktemp("example")
    (folder / "inputs").symlink_to(EXAMPLES)
    model = ModelFile(path="inputs/mnist_cnn.torchscript.pt", format="torchscript")
    found = inspect_model(InspectModel(model=model, dataset=DATA), folder)
    model = model.model_copy(update={"inputs": found.inputs, "inputs_from": found.inputs_from})
    dataset = open_dataset(folder, DATA)
    network = load_network(model, folder, dataset)
    return network, Run(0, lambda _message: None, network, fitting_data(network, dataset))


@pytest.fixture(scope="module")
def pruned(example: tuple[Network, Run]) -> dict[tuple[str, str], Network]:
    wanted = [(criterion, "unstructured") for criterion in JUDGES] + [("l1", "block"), ("l2", "block")]
    return {(c, p): apply(MagnitudePruning(criterion=c, pattern=p), *example) for c, p in wanted}


def removed(network: Network) -> torch.Tensor:
    return torch.cat([w.detach().flatten() == 0 for w in network.module.parameters() if w.ndim > 1])


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """The fraction of what the first removes that the second keeps."""
    return float((first & ~second).sum() / first.sum())


def test_any_two_criteria_differ_in_a_twentieth_of_what_they_select(pruned) -> None:
    single = {c: removed(pruned[c, "unstructured"]) for c in JUDGES}
    for first, second in combinations(JUDGES, 2):
        if {first, second} != {"l1", "l2"}:
            assert difference(single[first], single[second]) >= 0.05, (first, second)


def test_l1_and_l2_are_one_order_for_single_weights_and_two_for_blocks(pruned) -> None:
    assert difference(removed(pruned["l1", "unstructured"]), removed(pruned["l2", "unstructured"])) == 0
    assert difference(removed(pruned["l1", "block"]), removed(pruned["l2", "block"])) > 0.05


@pytest.mark.parametrize("criterion", sorted(set(JUDGES) - {"random"}))
def test_every_criterion_beats_chance(example, pruned, criterion: str) -> None:
    _, run = example
    arrays, labels = run.data.test.take(range(500))

    def accuracy(network: Network) -> float:
        return float((network.run(arrays[network.inputs[0].name])[0].argmax(1) == labels).float().mean())

    assert accuracy(pruned[criterion, "unstructured"]) > accuracy(pruned["random", "unstructured"]) + 0.2
