"""Files of weights in few bits, by every method: how large they are, and that they answer as the network in memory."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from app.core.architectures import NetworkArchitecture
from app.core.errors import Invalid
from app.core.job_files import ModelFile
from app.core.measurements import OutputFormat
from app.core.recipes import FloatCasting, Step, WeightQuantization
from app.core.tasks import Compression
from app.core.wanted_files import SUFFIXES as SUFFIX_OF
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import CLASSES, NETWORKS, Example
from worker.applying import applied
from worker.exporting import export
from worker.exporting.load_network import load_network
from worker.loading import load_network as load_upload
from worker.loading.state_dicts import load_state_dict
from worker.network import Network
from worker.run import Run

METHODS = (("affine", 4), ("estimation", 3), ("ternary", 2), ("binary", 1), ("kmeans", 4), ("kmeans", 8))
# In ONNX these have kernels, which round activations to int8.
ROUNDING_ACTIVATIONS = {("affine", 4), ("ternary", 2)}
FORMATS: tuple[OutputFormat, ...] = ("onnx", "torchscript", "state_dict")


def most_bytes(bits: int, weights: int) -> float:
    """A tenth more for scales, and 16 KB for all else."""
    return 1.1 * bits / 8 * weights + 16 * 1024


class Wide(nn.Module):
    """Rows of many lengths: a short one in a large embedding, one that 128 doesn't divide."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4000, 32)
        self.layers = nn.Sequential(nn.Linear(32, 300), nn.ReLU(), nn.Linear(300, 512), nn.ReLU(), nn.Linear(512, 256))
        self.head = nn.Linear(256, CLASSES)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.layers(self.embedding(ids)).mean(dim=1)))


class Recurrent(nn.Module):
    def __init__(self, layers: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers = layers()

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.layers(series)[0].mean(dim=1)[:, :CLASSES]


def two_layers(kind: type[nn.RNNBase]) -> nn.Module:
    return kind(16, 32, num_layers=2, batch_first=True, bidirectional=True)


WIDE = Example(Wide, (6,), vocabulary=4000)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelFile]:
    folder = job_folder(tmp_path_factory.mktemp("wide") / "job", WIDE)
    return folder, inspected(folder, with_data=False)[0]


@pytest.mark.parametrize(("method", "bits"), METHODS)
def test_files_have_so_many_bits_a_weight_and_answer_as_in_memory(
    method: str, bits: int, wide: tuple[Path, ModelFile]
) -> None:
    folder, model = wide
    step = WeightQuantization.model_validate({"method": method, "bits": bits})
    compression = compress(folder, (step,), outputs=FORMATS, model=model)
    measured(folder, model, compression.files[0])
    weights = sum(parameter.numel() for parameter in Wide().parameters() if parameter.ndim > 1)
    for suffix in map(SUFFIX_OF.__getitem__, FORMATS):
        file = file_of(compression, f"model{suffix}")
        assert (folder / file.path).stat().st_size <= most_bytes(bits, weights), suffix
        found = measured(folder, model, file).verified
        if suffix == ".onnx" and (method, bits) in ROUNDING_ACTIVATIONS:
            assert found.cosine > 0.9999
        else:
            assert found.max_difference <= 1e-5


EVERY_WIDTH: list[Step] = [
    *(WeightQuantization(method=method, bits=bits) for method in ("affine", "kmeans") for bits in (8, 4, 3, 2, 1)),
    *(WeightQuantization(method="symmetric", bits=bits) for bits in (8, 4, 3, 2)),
    *(WeightQuantization(method=method, bits=3) for method in ("estimation", "mean_rounding", "hqq")),
    *(WeightQuantization(method=method) for method in ("ternary", "binary")),
    *(FloatCasting(dtype=dtype) for dtype in ("float16", "bfloat16", "float8_e4m3", "float8_e5m2")),
]


def bits_of(step: Step) -> int:
    return step.bits if isinstance(step, WeightQuantization) else 8 if "float8" in step.dtype else 16


@pytest.fixture(scope="module")
def loaded(wide: tuple[Path, ModelFile]) -> Network:
    folder, model = wide
    return load_upload(model, folder, None)


@pytest.mark.parametrize(
    "step", EVERY_WIDTH, ids=lambda step: f"{getattr(step, 'method', step.technique)} {bits_of(step)}"
)
def test_a_packed_file_has_no_more_bytes_than_its_bits_take(step: Step, loaded: Network, tmp_path: Path) -> None:
    check_sizes(step, loaded, FORMATS, tmp_path)


def check_sizes(step: Step, network: Network, outputs: Sequence[OutputFormat], folder: Path) -> None:
    packed = applied(step, network, Run(0, lambda _message: None, network), 0)
    weights = sum(parameter.numel() for parameter in network.module.parameters() if parameter.ndim > 1)
    for output in outputs:
        path = folder / f"model{SUFFIX_OF[output]}"
        export(packed, output, path)
        assert path.stat().st_size <= most_bytes(bits_of(step), weights), output


class Deep(nn.Module):
    """Ten small convolutions, each with a norm: more names and operators than weights in few bits."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [1, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64]
        pairs = pairwise(sizes)
        self.layers = nn.Sequential(*(nn.Sequential(nn.Conv2d(*pair, 3), nn.BatchNorm2d(pair[1])) for pair in pairs))
        self.head = nn.Linear(64, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(images).mean(dim=(2, 3)))


MANY_PARTS: dict[str, tuple[Example, tuple[OutputFormat, ...]]] = {
    "recurrent": (
        Example(lambda: Recurrent(lambda: nn.LSTM(12, 64, 2, batch_first=True, bidirectional=True)), (5, 12)),
        ("onnx", "torchscript", "state_dict"),
    ),
    "deep": (Example(Deep, (1, 24, 24)), ("onnx", "state_dict")),
}


@pytest.mark.parametrize("bits", [4, 3, 2, 1])
@pytest.mark.parametrize("name", MANY_PARTS)
def test_so_has_one_of_many_small_parts(name: str, bits: int, tmp_path: Path) -> None:
    example, outputs = MANY_PARTS[name]
    folder = job_folder(tmp_path / "job", example)
    network = load_upload(inspected(folder, with_data=False)[0], folder, None)
    check_sizes(WeightQuantization(bits=bits), network, outputs, tmp_path)


@pytest.mark.parametrize(
    ("name", "method", "bits"), [("every_kind", "gptq", 4), ("cnn", "kmeans", 4), ("lstm", "hqq", 4)]
)
def test_networks_of_every_kind(name: str, method: str, bits: int, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS[name])
    model, _ = inspected(folder)
    step = WeightQuantization.model_validate({"method": method, "bits": bits})
    compression = compress(folder, (step,), outputs=FORMATS, model=model)
    measured(folder, model, compression.files[0])
    for suffix in map(SUFFIX_OF.__getitem__, FORMATS):
        found = measured(folder, model, file_of(compression, f"model{suffix}"))
        assert found.verified.cosine > (0.98 if suffix == ".onnx" else 0.99999), suffix
    assert any("can't see" in warning for warning in compression.warnings) == (method == "gptq")


def rounded_once(folder: Path, fields: dict[str, Any]) -> Compression:
    """The ONNX file has the very codes of the network that was written."""
    model, _ = inspected(folder)
    compression = compress(folder, (WeightQuantization.model_validate(fields),), model=model)
    measured(folder, model, compression.files[0])
    assert measured(folder, model, file_of(compression, "model.onnx")).verified.max_difference <= 1e-5
    return compression


@pytest.mark.parametrize(("method", "bits"), [("gptq", 3), ("kmeans", 3), ("affine", 8)])
def test_codes_stay_the_same_where_the_exporter_folds_batch_norms(method: str, bits: int, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["residual"])
    rounded_once(folder, {"method": method, "bits": bits, "only": ["blocks.*"]})


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize(("method", "bits"), [("hqq", 3), ("kmeans", 2), ("symmetric", 4)])
def test_weights_of_recurrent_layers_are_rounded_once(
    kind: type[nn.RNNBase], method: str, bits: int, tmp_path: Path
) -> None:
    """Though ONNX has gates in another order, and both directions in one tensor."""
    folder = job_folder(tmp_path / "job", Example(lambda: Recurrent(lambda: two_layers(kind)), (5, 16)))
    rounded_once(folder, {"method": method, "bits": bits})


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize(("method", "bits"), [("affine", 8), ("hqq", 3), ("kmeans", 2), ("symmetric", 4)])
def test_weights_of_projected_lstms_are_rounded_once(
    method: str, bits: int, tmp_path: Path, *, both_ways: bool
) -> None:
    """Though ONNX has each of them multiplied with a projection: the file has both in few bits."""

    def layers() -> nn.Module:
        return nn.LSTM(16, 64, num_layers=2, proj_size=16, batch_first=True, bidirectional=both_ways)

    folder = job_folder(tmp_path / "job", Example(lambda: Recurrent(layers), (5, 16)))
    compression = rounded_once(folder, {"method": method, "bits": bits})
    file = file_of(compression, "model.onnx")
    whole = file_of(compression, "uncompressed.onnx")  # which has the products
    assert (folder / file.path).stat().st_size < (folder / whole.path).stat().st_size / 4


def test_the_loader_and_the_service_read_what_was_written(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["every_kind"])
    steps = (
        WeightQuantization(bits=3, only=("stem.*",)),
        WeightQuantization(bits=4, method="kmeans", only=("lstm",)),
        WeightQuantization(bits=2, method="ternary"),
    )
    compress(folder, steps, outputs=("state_dict",))
    described, weights = folder / "outputs/network.json", folder / "outputs/model.safetensors"
    packed = json.loads(described.read_text())["packed"]
    assert set(packed.values()) == {"grouped_bits", "codebook"}
    inputs = NETWORKS["every_kind"].inputs(3)
    architecture = NetworkArchitecture.model_validate(
        {"source": "network", "network": json.loads(described.read_text())}
    )
    with torch.no_grad():
        loaded = load_network(described, weights)(inputs)
        torch.testing.assert_close(load_state_dict(weights, architecture)(inputs), loaded)
    assert loaded.shape == (3, CLASSES)


def test_a_file_whose_codes_do_not_fill_the_shape_is_refused_with_words(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    compress(folder, (WeightQuantization(bits=4),), outputs=("state_dict",))
    network = json.loads((folder / "outputs/network.json").read_text())
    tensors = load_file(folder / "outputs/model.safetensors")
    tensors["fc.weight.shape"] = torch.tensor([1 << 20, 1 << 20])
    damaged = tmp_path / "damaged.safetensors"
    save_file(tensors, damaged)
    with pytest.raises(Invalid, match="can't be unpacked"):
        load_state_dict(damaged, NetworkArchitecture.model_validate({"source": "network", "network": network}))


def test_the_report_has_a_row_for_each_weight(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    compression = compress(folder, (WeightQuantization(bits=4),))
    (table,) = compression.steps[0].details
    assert table.columns[:2] == ("weight", "bits each")
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows.keys() == {"conv1.weight", "conv2.weight", "fc.weight"}
    expected = NETWORKS["cnn"].network().fc.weight.detach()
    assert rows["fc.weight"]["largest weight"] == pytest.approx(float(expected.max()))
    assert 15 < rows["fc.weight"]["weight sqnr db"] < 30


@pytest.mark.parametrize(("method", "low", "high"), [("affine", 100, 156), ("symmetric", 0, 0)])
def test_the_report_has_zero_points(method: str, low: float, high: float, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    (table,) = compress(folder, (WeightQuantization(method=method),)).steps[0].details
    column = table.columns.index("median zero point")
    assert all(low <= row[column] <= high for row in table.rows)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "ternary", "bits": 4}, "ternary weights have 2 bits, not 4"),
        ({"method": "binary", "bits": 8}, "binary weights have 1 bits, not 8"),
        ({"method": "gptq", "bits": 1}, "gptq needs 2 bits or more"),
        ({"method": "symmetric", "bits": 1}, "symmetric needs 2 bits or more"),
        ({"bits": 5}, "Input should be 8, 4, 3, 2 or 1"),
        ({"method": "nearest"}, "Input should be 'affine'"),
        ({"method": [], "bits": {}}, "Input should be"),
        ({"group_size": 4}, "greater than or equal to 8"),
    ],
)
def test_bits_that_a_method_cannot_have_are_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WeightQuantization.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "bits", "group_size"),
    [
        ({}, 8, 128),
        ({"bits": 3}, 3, 128),
        ({"bits": 2}, 2, 256),
        ({"method": "ternary"}, 2, 256),
        ({"method": "binary"}, 1, 512),
        ({"bits": 1, "group_size": 64}, 1, 64),
        ({"group_size": -1}, 8, None),
        ({"bits": 2, "group_size": None}, 2, None),
    ],
)
def test_what_is_left_open_fits_the_method(fields: dict, bits: int, group_size: int | None) -> None:
    step = WeightQuantization.model_validate(fields)
    assert (step.bits, step.group_size) == (bits, group_size)
    assert WeightQuantization.model_validate_json(step.model_dump_json()) == step


def test_error_compensation_needs_data_and_a_network_that_can_be_edited() -> None:
    assert WeightQuantization(method="gptq").must_have_data()
    assert not WeightQuantization(method="hqq").must_have_data()
