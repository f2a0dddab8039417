"""What dynamic int8 does to the layers that ONNX Runtime's quantizer knows nothing of: GRUs and embeddings."""

from pathlib import Path

import onnx
import pytest
from torch import Tensor, nn

from app.core.recipes import DynamicQuantization
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import CLASSES, Example


class Words(nn.Module):
    """An embedding, a GRU and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(300, 32)
        self.gru = nn.GRU(32, 48, batch_first=True, bidirectional=True)
        self.head = nn.Linear(96, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        outputs, _ = self.gru(self.words(ids))
        return self.head(outputs.mean(dim=1))


WORDS = Example(Words, (7,), vocabulary=300)


class EveryKind(nn.Module):
    """Of layer that has weights which can be in int8."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(300, 32)
        self.gru = nn.GRU(32, 24, batch_first=True, bidirectional=True)
        self.lstm = nn.LSTM(48, 24, batch_first=True, bidirectional=True)
        self.rnn = nn.RNN(48, 32, batch_first=True)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        outputs, _ = self.gru(self.words(ids))
        outputs, _ = self.lstm(outputs)
        outputs, _ = self.rnn(outputs)
        return self.head(outputs.mean(dim=1))


EVERY_KIND = Example(EveryKind, (7,), vocabulary=300)
PACKED = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def packed_sizes(model: onnx.ModelProto) -> set[tuple[int, ...]]:
    return {tuple(w.dims) for w in model.graph.initializer if w.data_type in PACKED and len(w.dims) > 1}


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("per_channel", [True, False])
def test_grus_and_embeddings_are_stored_in_int8(per_channel: bool, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", WORDS)
    model, _ = inspected(folder)
    compression = compress(folder, (DynamicQuantization(per_channel=per_channel),), model=model)
    file = file_of(compression, "model.onnx")
    written = onnx.load(folder / file.path)
    assert packed_sizes(written) == {(300, 32), (2, 144, 32), (2, 144, 48), (96, CLASSES)}
    assert {"GatherBlockQuantized", "GRU", "MatMulInteger"} <= operators(written)
    before = file_of(compression, "model.float32.onnx")
    assert (folder / file.path).stat().st_size < 0.35 * (folder / before.path).stat().st_size
    measured(folder, model, compression.files[0])
    assert measured(folder, model, file).verified.cosine > 0.999


def test_it_is_said_what_computes_in_int8_and_what_is_only_stored_in_it(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", WORDS)
    compression = compress(folder, (DynamicQuantization(exclude=("words",)),))
    (table,) = compression.steps[0].details
    assert [row[:3] for row in table.rows] == [("words", 32, "float32"), ("gru", 8, "float32"), ("head", 8, "int8")]
    assert any("gru is stored in int8 and computed with in float32" in warning for warning in compression.warnings)


@pytest.mark.parametrize("output", ["onnx", "torchscript"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_statistics_grid_and_what_came_back_of_each_layer(per_channel: bool, output: str, tmp_path: Path) -> None:
    """Both formats round alike, and say so in the same numbers."""
    folder = job_folder(tmp_path / "job", EVERY_KIND)
    compression = compress(folder, (DynamicQuantization(per_channel=per_channel),), outputs=(output,))
    table = next(each for each in compression.steps[0].details if each.title == "Layers")
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows.keys() == {"words", "gru", "lstm", "rnn", "head"}
    network = EVERY_KIND.network()
    for name, row in rows.items():
        weights = [w.detach() for w in network.get_submodule(name).parameters() if w.ndim > 1]
        assert row["smallest weight"] == pytest.approx(min(float(w.min()) for w in weights))
        assert row["largest weight"] == pytest.approx(max(float(w.max()) for w in weights))
        assert 35 < row["weight sqnr db"] < 60
    largest = network.head.weight.detach().abs().amax(1 if per_channel else None)
    assert rows["head"]["median scale"] == pytest.approx(float(largest.median()) / 127, rel=0.1)


def test_layers_are_left_out_by_their_names(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", WORDS)
    compression = compress(folder, (DynamicQuantization(only=("words",)),))
    assert packed_sizes(onnx.load(folder / file_of(compression, "model.onnx").path)) == {(300, 32)}
    assert not any("gru" in warning for warning in compression.warnings)


def test_a_network_of_one_gru_can_be_quantized(tmp_path: Path) -> None:
    example = Example(lambda: nn.GRU(6, 32, batch_first=True), (9, 6))
    folder = job_folder(tmp_path / "job", example)
    model, inspection = inspected(folder, with_data=False)
    told = {each.technique: each.available for each in inspection.facts.techniques}
    assert told["dynamic_quantization"]
    compression = compress(folder, (DynamicQuantization(),), model=model, with_data=False)
    assert packed_sizes(onnx.load(folder / file_of(compression, "model.onnx").path)) == {(1, 96, 6), (1, 96, 32)}
