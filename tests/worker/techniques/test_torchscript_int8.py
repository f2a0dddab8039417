"""int8 in TorchScript: layers of torch that compute in it."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.recipes import DynamicQuantization, QuantizationAwareTraining, StaticQuantization, WeightQuantization
from app.core.recipes.base import StepBase
from app.core.tasks import Compression
from app.core.uploads.models import read_model
from tests.worker.jobs import MODEL, compress, file_of, inspected, job_folder
from tests.worker.networks import NETWORKS, Example

ENGINES = [name for name in torch.backends.quantized.supported_engines if name != "none"]
STATIC, DYNAMIC = StaticQuantization(), DynamicQuantization()


class Depthwise(nn.Module):
    """Convolutions of one channel each, and answers of layers that are cut off at 6, far below what they would be."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU6())
        self.wise = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU6())
        self.head = nn.Linear(16, 4)
        with torch.no_grad():
            self.stem[0].weight.mul_(20)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.wise(self.stem(images)).mean(dim=[2, 3]))


class Stretching(nn.Module):
    """A transposed convolution, for which torch has no int8 kernel with a scale for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.stretch = nn.ConvTranspose2d(8, 4, 2, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.stretch(torch.relu(self.conv(images))).mean(dim=[2, 3])


class Counting(nn.Module):
    """Answers that are cut off below, and laid out anew, behind the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(20, 64), nn.Linear(64, 4)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.relu(self.last(torch.relu(self.hidden(rows))).unsqueeze(1)).flatten(1)


class GatedRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 64, batch_first=True)
        self.head = nn.Linear(64, 4)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.gru(series)[0].mean(dim=1))


class PlainRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(6, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 4)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.rnn(series)[0].mean(dim=1))


class Words(nn.Module):
    """A table of rows that are large and small, and little else."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(400, 48)
        self.head = nn.Linear(48, 4)
        with torch.no_grad():
            self.words.weight.mul_(torch.logspace(-3, 1, 400).unsqueeze(1))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.words(ids).mean(dim=1))


KINDS = NETWORKS | {"depthwise": Example(Depthwise, (3, 12, 12)), "gru": Example(GatedRecurrent, (10, 6))}
KINDS |= {"counting": Example(Counting, (20,))}
KINDS |= {"rnn": Example(PlainRecurrent, (10, 6)), "words": Example(Words, (7,), vocabulary=400)}


def written(folder: Path, example: Example, *steps: StepBase) -> Compression:
    return compress(job_folder(folder / "job", example), steps, outputs=("torchscript",))


def archive(folder: Path, engine: str | None = None) -> torch.jit.ScriptModule:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine or before
    try:
        return torch.jit.load(folder / "job" / "outputs" / "model.torchscript.pt").eval()
    finally:
        torch.backends.quantized.engine = before


def in_float(folder: Path) -> set[str]:
    return {name for name, one in archive(folder).named_parameters() if one.ndim > 1 and one.is_floating_point()}


def likeness(network: nn.Module, answers: Tensor, inputs: Tensor) -> float:
    with torch.no_grad():
        return float(torch.nn.functional.cosine_similarity(network(inputs).flatten(), answers.flatten(), dim=0))


@pytest.mark.parametrize("kind", ["residual", "depthwise"])
def test_every_engine_gives_the_networks_answers_on_any_batch(kind: str, tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS[kind], STATIC)
    assert not in_float(tmp_path)
    for engine, batch in product(ENGINES, (1, 5)):
        inputs = KINDS[kind].inputs(batch)
        assert likeness(KINDS[kind].network(), archive(tmp_path, engine)(inputs), inputs) > 0.99
    (step,) = compression.steps
    table = next(each for each in step.details if each.title == "Engines of torch")
    assert {row[0] for row in table.rows} == set(ENGINES)
    assert sum(bool(row[-1]) for row in table.rows) == 1


@pytest.mark.parametrize("kind", ["mlp", "cnn", "counting"])
def test_answers_are_neither_rounded_nor_cut_off_at_the_calibrated_range(kind: str, tmp_path: Path) -> None:
    written(tmp_path, KINDS[kind], STATIC)
    assert not in_float(tmp_path)
    inputs = KINDS[kind].inputs(400)
    answers = archive(tmp_path)(inputs)
    assert len(answers.unique()) > 256
    assert likeness(KINDS[kind].network(), answers, inputs) > 0.999


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "transformer", "words"])
def test_dynamic_int8_holds_linear_and_recurrent_layers_and_embeddings(kind: str, tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS[kind], DYNAMIC)
    assert not {name for name in in_float(tmp_path) if "position" not in name and "norm" not in name}
    sizes = [file_of(compression, name).path for name in ("model.torchscript.pt", "uncompressed.torchscript.pt")]
    quantized, exact = ((tmp_path / "job" / path).stat().st_size for path in sizes)
    assert quantized < 0.75 * exact
    inputs = KINDS[kind].inputs(3)
    assert likeness(KINDS[kind].network(), archive(tmp_path)(inputs), inputs) > 0.99


@pytest.mark.parametrize("per_channel", [True, False])
def test_each_row_of_an_embedding_has_a_scale_of_its_own(per_channel: bool, tmp_path: Path) -> None:
    """With one for all, small rows are lost beside large ones."""
    step = DynamicQuantization(only=("words",), per_channel=per_channel)
    compression = written(tmp_path, KINDS["words"], step)
    assert in_float(tmp_path) == {"head.weight"}
    smallest = torch.arange(4).unsqueeze(1).expand(4, 7)
    network = KINDS["words"].network()
    with torch.no_grad():
        wanted = network.words(smallest)
    lost = float((archive(tmp_path).words(smallest) - wanted).norm() / wanted.norm())
    assert (lost < 0.01) is per_channel
    (table,) = compression.steps[0].details
    assert [row[:3] for row in table.rows] == [("words", 8, "float32")]


def test_plain_recurrent_layers_can_be_all_that_is_chosen(tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS["rnn"], DynamicQuantization(only=("rnn",)))
    assert in_float(tmp_path) == {"head.weight"}
    (table,) = compression.steps[0].details
    assert [row[:3] for row in table.rows] == [("rnn", 8, "float32")]


def test_a_recurrent_net_of_tiny_inputs_keeps_its_answers(tmp_path: Path) -> None:
    written(tmp_path, KINDS["lstm"], DYNAMIC)
    inputs = 1e-3 * KINDS["lstm"].inputs(8)
    network = KINDS["lstm"].network()
    assert likeness(network, archive(tmp_path)(inputs), inputs) > 0.999


class Regressor(nn.Module):
    """Without anything in between, so that only the answers can be cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(series).unsqueeze(1).reshape(-1, 4)


def test_answers_beyond_those_of_calibration_are_not_cut_off(tmp_path: Path) -> None:
    example = Example(Regressor, (8,))
    written(tmp_path, example, STATIC)
    inputs, network = 10 * example.inputs(5), example.network()
    with torch.no_grad():
        torch.testing.assert_close(archive(tmp_path)(inputs), network(inputs), rtol=0.05, atol=0.05 * 10)
    assert not in_float(tmp_path)


def test_what_is_kept_in_float_is_kept_here_too(tmp_path: Path) -> None:
    written(tmp_path, KINDS["cnn"], StaticQuantization(keep_float=("conv1",), exclude=("fc",)))
    assert in_float(tmp_path) == {"conv1.weight", "fc.weight"}


def test_layers_left_out_keep_their_packed_weights(tmp_path: Path) -> None:
    """4 bits in the file for the one layer, which a ReLU follows; int8 kernels for the others."""
    steps = (WeightQuantization(bits=4, only=("conv2",), group_size=32), StaticQuantization(exclude=("conv2",)))
    written(tmp_path, KINDS["cnn"], *steps)
    loaded = archive(tmp_path)
    assert {name: one.dtype for name, one in loaded.named_parameters() if one.ndim > 1} == {"conv2.weight": torch.uint8}
    inputs = KINDS["cnn"].inputs(4)
    assert likeness(KINDS["cnn"].network(), loaded(inputs), inputs) > 0.98


def test_training_for_int8_gives_an_archive_in_int8(tmp_path: Path) -> None:
    written(tmp_path, KINDS["cnn"], QuantizationAwareTraining(epochs=1))
    assert not in_float(tmp_path)
    inputs = KINDS["cnn"].inputs(20)
    assert likeness(KINDS["cnn"].network(), archive(tmp_path)(inputs), inputs) > 0.9


def test_a_layer_without_a_kernel_is_named(tmp_path: Path) -> None:
    compression = written(tmp_path, Example(Stretching, (3, 8, 8)), STATIC)
    assert in_float(tmp_path) == {"stretch.weight"}
    assert any("int8 kernels for stretch" in warning for warning in compression.warnings)


def test_where_no_layer_can_be_quantized_the_step_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        written(tmp_path, Example(Stretching, (3, 8, 8)), StaticQuantization(exclude=("conv",)))
    assert refused.value.code == "nothing_quantized"


@pytest.mark.parametrize("step", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_an_archive_in_int8_can_be_uploaded_again(step: StepBase, tmp_path: Path) -> None:
    """It is taken for what it is: a file that runs and can't be edited, with what to do about it."""
    compression = written(tmp_path, KINDS["mlp"], step)
    again = job_folder(tmp_path / "again", KINDS["mlp"])
    (again / MODEL).write_bytes((tmp_path / "job" / file_of(compression, "model.torchscript.pt").path).read_bytes())
    assert read_model(again / MODEL, "model.pt").format == "torchscript"
    facts = inspected(again)[1].facts
    assert facts.editable == "no"
    assert "before quantization" in facts.blocked_by[0].advice


def test_calibration_data_decide_the_ranges(tmp_path: Path) -> None:
    """Values that calibration never saw are cut off."""
    example = KINDS["mlp"]
    written(tmp_path, example, STATIC)
    signs = example.inputs(4).sign()
    once, much = archive(tmp_path)(100 * signs), archive(tmp_path)(1000 * signs)
    assert np.array_equal(once.numpy(), much.numpy())


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({}, set()), ({"exclude": ("words",)}, {"words.weight"}), ({"only": ("head",)}, {"words.weight"})],
)
def test_static_int8_stores_embeddings_unless_it_is_told_not_to(fields: dict, kept: set[str], tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS["words"], StaticQuantization(**fields))
    assert in_float(tmp_path) == kept
    table = next(each for each in compression.steps[0].details if each.title == "Layers")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert {row["layer"]: (row["bits"], row["computed in"]) for row in rows} == {
        "words": (32 if kept else 8, "float32"),
        "head": (8, "int8"),
    }
    inputs = KINDS["words"].inputs(3)
    assert likeness(KINDS["words"].network(), archive(tmp_path)(inputs), inputs) > 0.99
