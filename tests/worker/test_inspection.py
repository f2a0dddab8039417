from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.tasks import InspectDataset, InspectModel
from tests.worker.jobs import DATA, MODEL, compress, inspected, job_folder, save_data, save_torchscript, silent
from tests.worker.networks import NETWORKS, Example
from worker.data import Dataset, open_dataset
from worker.data_fit import fitting_data
from worker.loading import open_model
from worker.pipeline import perform


def inspect(folder: Path, **model: object):
    return perform(InspectModel(model=ModelFile(path=MODEL, format="torchscript", **model)), folder, silent)


def archive(folder: Path, network: nn.Module, example: Example, *, scripted: bool = False) -> Path:
    (folder / "inputs").mkdir()
    save_torchscript(folder / MODEL, network.eval(), example, scripted=scripted)
    return folder


@pytest.mark.parametrize("name", ["mlp", "cnn", "lstm", "transformer"])
def test_parameters_and_layers_are_those_of_the_network(tmp_path: Path, name: str) -> None:
    example = NETWORKS[name]
    _, inspection = inspected(job_folder(tmp_path / "job", example))
    facts, network = inspection.facts, example.network()
    assert facts.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert facts.editable == "whole"
    assert inspection.inputs_from == "dataset"
    assert inspection.inputs[0].shape == ("batch", *example.shape)


class LearnedFirstState(nn.Module):
    """A layer takes a view of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 6)
        self.first = nn.Parameter(torch.ones(1, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.first.expand(x.shape[0], -1)) * x.sum(1, keepdim=True)


def test_macs_are_counted_where_a_layer_takes_a_parameter(tmp_path: Path) -> None:
    takes = (InputSpec(name="x", shape=("batch", 20)),)
    assert inspect(archive(tmp_path, LearnedFirstState(), NETWORKS["mlp"]), inputs=takes).facts.macs == 5 * 6


def test_macs_are_counted_for_one_example(tmp_path: Path) -> None:
    _, inspection = inspected(job_folder(tmp_path / "job", NETWORKS["cnn"]))
    macs = {layer.name: layer.macs for layer in inspection.facts.layers}
    assert macs["conv1"] == 16 * 3 * 9 * 10 * 10
    assert macs["conv2"] == 32 * 16 * 9 * 8 * 8
    assert macs["fc"] == 512 * 4
    assert inspection.facts.macs == macs["conv1"] + macs["conv2"] + macs["fc"]


def test_macs_of_recurrent_layers_are_counted(tmp_path: Path) -> None:
    _, inspection = inspected(job_folder(tmp_path / "job", NETWORKS["lstm"]))
    first, second = 10 * 2 * 4 * 48 * (6 + 48), 10 * 2 * 4 * 48 * (96 + 48)
    assert next(layer.macs for layer in inspection.facts.layers if layer.type == "LSTM") == first + second


def test_layers_tell_their_output_shape(tmp_path: Path) -> None:
    _, inspection = inspected(job_folder(tmp_path / "job", NETWORKS["cnn"]))
    shapes = {layer.name: layer.output_shape for layer in inspection.facts.layers}
    assert shapes["conv1"] == (1, 16, 10, 10)
    assert shapes["fc"] == (1, 4)


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
def test_without_data_inputs_are_guessed_from_the_first_layer(tmp_path: Path, name: str) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["residual"] if name == "cnn" else NETWORKS[name], scripted=True)
    if name == "transformer":  # its position table fixes the length, which no layer tells
        with pytest.raises(Invalid) as caught:
            inspected(folder, with_data=False)
        assert caught.value.code == "forward_failed"
        return
    _, inspection = inspected(folder, with_data=False)
    assert inspection.inputs_from == "guessed"


@pytest.mark.parametrize("name", ["cnn", "lstm", "transformer"])
def test_without_data_a_trace_tells_what_it_was_traced_with(tmp_path: Path, name: str) -> None:
    example = NETWORKS[name]
    folder = job_folder(tmp_path / "job", example)
    model, inspection = inspected(folder, with_data=False)
    assert inspection.inputs_from == "guessed"
    assert [spec.shape for spec in inspection.inputs] == [("batch", *example.shape)]
    assert inspection.inputs[0].high == (example.vocabulary or None)
    assert not open_model(model, folder, None).doubtful


def test_a_trace_of_another_layout_falls_back_on_the_first_layer(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(6, 4), nn.Flatten(0, -2))  # one row for each example of a batch alone
    (tmp_path / "inputs").mkdir()
    torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(5, 2, 6)), tmp_path / MODEL)
    inspection = inspect(tmp_path)
    assert inspection.inputs[0].shape == ("batch", 6)
    assert open_model(ModelFile(path=MODEL, format="torchscript"), tmp_path, None).doubtful


@pytest.mark.parametrize("shape", [(1, 3, 2), (6,)])
def test_a_guess_gives_way_to_examples_that_come_later(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model, dataset = guessed_before_data(tmp_path, shape)
    assert open_model(model, tmp_path, dataset).inputs[0].shape == ("batch", *shape)


def test_a_guess_stays_where_the_network_cannot_take_the_examples(tmp_path: Path) -> None:
    model, dataset = guessed_before_data(tmp_path, (7,))
    opened = open_model(model, tmp_path, dataset)
    assert opened.inputs[0].shape == ("batch", 6)
    with pytest.raises(Invalid, match="Give the data set's arrays the network's shape"):
        fitting_data(opened.editable(), dataset)


def guessed_before_data(folder: Path, shape: tuple[int, ...]) -> tuple[ModelFile, Dataset]:
    """A flattening network, whose file doesn't tell what it flattens, and examples of this shape."""
    archive(folder, nn.Sequential(nn.Flatten(), nn.Linear(6, 4)), NETWORKS["mlp"], scripted=True)
    model = ModelFile(path=MODEL, format="torchscript", inputs=inspect(folder).inputs, inputs_from="guessed")
    np.savez(folder / DATA.path, x=np.zeros((20, *shape), np.float32))
    return model, open_dataset(folder, DATA)


def test_several_inputs_are_known_from_the_trace(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    examples = (torch.zeros(2, 3), torch.zeros(2, 5, dtype=torch.float64))
    torch.jit.save(torch.jit.trace(Added().eval(), examples), tmp_path / MODEL)
    inspection = inspect(tmp_path)
    assert [(spec.name, spec.shape, spec.dtype) for spec in inspection.inputs] == [
        ("left", ("batch", 3), "float32"),
        ("right", ("batch", 5), "float64"),
    ]


class Added(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left.sum(1) + right.sum(1)


def test_an_embedding_is_guessed_to_take_integers_below_its_size(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(16 * 8, 2))
    inspection = inspect(archive(tmp_path, network, Example(lambda: network, (16,), vocabulary=30)))
    assert inspection.inputs == (InputSpec(name="input", shape=("batch", 16), dtype="int64", low=0, high=30),)


class OnlyTwo(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1)


class Raises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() < 1e9):
            raise RuntimeError("a secret of the author")
        return self.fc(x)


@pytest.mark.parametrize("network", [OnlyTwo(), Raises()], ids=["fixed batch", "raises"])
def test_a_network_that_does_not_run_is_told_how_to_give_inputs(tmp_path: Path, network: nn.Module) -> None:
    folder = archive(tmp_path, network, Example(lambda: network, (3,)), scripted=True)
    with pytest.raises(Invalid, match="`inputs`") as caught:
        inspect(folder, inputs=(InputSpec(name="x", shape=("batch", 3)),))
    assert caught.value.code == "forward_failed"
    assert "secret" not in caught.value.detail


def test_a_fixed_first_dimension_is_refused(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    with pytest.raises(Invalid, match="batch") as caught:
        inspect(folder, inputs=(InputSpec(name="x", shape=(1, 20)),))
    assert caught.value.code == "forward_failed"


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    network[0].weight.data[0, 0] = float("nan")
    folder = archive(tmp_path, network, Example(lambda: network, (3,)))
    with pytest.raises(Invalid) as caught:
        inspect(folder, inputs=(InputSpec(name="x", shape=("batch", 3)),))
    assert caught.value.code in ("weights_not_finite", "outputs_not_finite")


class TwoAnswers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"scores": self.fc(x), "inputs": x}


def test_several_outputs_are_flattened(tmp_path: Path) -> None:
    network = TwoAnswers()
    folder = archive(tmp_path, network, Example(lambda: network, (3,)), scripted=True)
    assert inspect(folder).facts.editable == "whole"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / MODEL).write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(Invalid) as caught:
        inspect(tmp_path)
    assert caught.value.code == "load_failed"


def test_half_precision_archives_compute_in_float32(tmp_path: Path) -> None:
    example = NETWORKS["mlp"]
    (tmp_path / "inputs").mkdir()
    with torch.no_grad():
        traced = torch.jit.trace(example.network(), example.inputs(2))
    torch.jit.save(traced.half(), str(tmp_path / MODEL))
    assert inspect(tmp_path).inputs[0].dtype == "float32"
    (tmp_path / "outputs").mkdir()
    compression = compress(tmp_path, (), with_data=False)
    assert compression.files[0].name == "upload.torchscript.pt"
    assert any("half precision" in warning for warning in compression.warnings)


def dataset_facts(folder: Path, **replaced: np.ndarray):
    (folder / "inputs").mkdir()
    save_data(folder / DATA.path, NETWORKS["mlp"], **replaced)
    return perform(InspectDataset(dataset=DATA), folder, silent)


def test_integer_labels_mean_classification(tmp_path: Path) -> None:
    facts = dataset_facts(tmp_path)
    assert (facts.task, facts.classes, facts.examples) == ("classification", 4, {"train": 40, "test": 20})
    assert facts.arrays["x_train"].shape == (40, 20)


def test_float_labels_mean_regression(tmp_path: Path) -> None:
    facts = dataset_facts(tmp_path, y_train=np.zeros(40), y_test=np.zeros(20))
    assert (facts.task, facts.classes) == ("regression", None)


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("x_test", np.full((20, 20), np.inf), "values_not_finite"),
        ("y_train", np.full(40, -1), "labels_out_of_range"),
        ("y_test", np.full(20, 10**6), "labels_out_of_range"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, name: str, values: np.ndarray, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        dataset_facts(tmp_path, **{name: values})
    assert caught.value.code == code


def test_examples_with_gaps_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    values = np.zeros((20, 20))
    values[[7, 7, 12], [0, 3, 5]] = np.nan
    with pytest.raises(Invalid, match="x_test holds NaN or infinity in 2 of its 20 examples, first in example 7"):
        dataset_facts(tmp_path, x_test=values)
