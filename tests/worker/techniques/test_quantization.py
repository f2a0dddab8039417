"""What an int8 file holds, read from the file."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from app.core.errors import Invalid, Problem
from app.core.recipes import DynamicQuantization, StaticQuantization, Step, WeightQuantization
from tests.worker.importance.runs import network_of, run_over
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import NETWORKS, Example
from worker.exporting import export
from worker.techniques import apply


def quantized(folder: Path, network: str, *steps: Step) -> onnx.ModelProto:
    job_folder(folder, NETWORKS[network])
    compression = compress(folder, steps)
    return onnx.load(folder / file_of(compression, "model.onnx").path)


def int8_weights(model: onnx.ModelProto) -> set[tuple[int, ...]]:
    """Shapes of the stored int8 tensors that aren't scales or zero points."""
    return {tuple(w.dims) for w in model.graph.initializer if w.data_type == onnx.TensorProto.INT8 and len(w.dims) > 1}


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


CONV1, CONV2, FC = (16, 3, 3, 3), (32, 16, 3, 3), (4, 512)


def test_static_int8_holds_every_layer(tmp_path: Path) -> None:
    assert int8_weights(quantized(tmp_path / "job", "cnn", StaticQuantization())) == {CONV1, CONV2, FC}


def test_static_int8_holds_layers_with_equal_biases(tmp_path: Path) -> None:
    """As where norms were never trained. A bias that stays in float keeps the runtime from computing in integers."""
    network = network_of(nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))), (4, 6, 6))
    for layer in network.module.children():
        nn.init.zeros_(layer.bias)
    run = run_over(network, np.random.default_rng(0).standard_normal((8, 4, 6, 6), dtype=np.float32))
    export(apply(StaticQuantization(), network, run), "onnx", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert [[made_by.get(name) for name in node.input] for node in convolutions] == [["DequantizeLinear"] * 3] * 3


def test_static_int8_is_per_channel(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "cnn", StaticQuantization())
    scales = {w.name: list(w.dims) for w in model.graph.initializer if w.name.endswith("weight_scale")}
    assert scales["conv1.weight_scale"] == [16]


@pytest.mark.parametrize("fields", [{"per_channel": False}, {"scheme": "s8s8"}], ids=lambda fields: next(iter(fields)))
def test_static_int8_takes_other_settings(tmp_path: Path, fields: dict) -> None:
    model = quantized(tmp_path / "job", "cnn", StaticQuantization(**fields))
    assert int8_weights(model) == {CONV1, CONV2, FC}
    zero_points = {w.name: w for w in model.graph.initializer if w.name.endswith("zero_point")}
    if "scheme" in fields:
        assert zero_points["images_zero_point"].data_type == onnx.TensorProto.INT8
    else:
        assert list(zero_points["conv1.weight_zero_point"].dims) == []


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
@pytest.mark.parametrize("is_faster", [True, False])
def test_large_convolutions_are_computed_as_products_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, is_faster: bool
) -> None:
    monkeypatch.setattr("worker.techniques.static_quantization.are_matrix_products_faster", lambda: is_faster)
    network = network_of(nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 8, 1)), (32, 6, 6))
    run = run_over(network, np.random.default_rng(0).standard_normal((8, 32, 6, 6), dtype=np.float32))
    export(apply(StaticQuantization(scheme=scheme), network, run), "onnx", tmp_path / "model.onnx")
    stored = {w.name: numpy_helper.to_array(w) for w in onnx.load(tmp_path / "model.onnx").graph.initializer}
    lowered = [set(stored[f"{layer}.weight_zero_point"].ravel()) for layer in "01"]
    told = [row for table in run.details.tables() if table.title == "Written for this CPU" for row in table.rows]
    assert (lowered, told) == (
        ([{-1}, {0}], [("0", "product of matrices")]) if is_faster and scheme == "u8s8" else ([{0}, {0}], [])
    )


def test_static_int8_does_not_round_its_answers(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "cnn", StaticQuantization())
    (last,) = (node for node in model.graph.node if model.graph.output[0].name in node.output)
    assert last.op_type == "Gemm"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({"exclude": ("conv1",)}, {CONV2, FC}), ({"exclude": ("conv*",)}, {FC}), ({"only": ("conv2",)}, {CONV2})],
)
def test_static_int8_leaves_out_what_it_is_told(tmp_path: Path, fields: dict, kept: set) -> None:
    assert int8_weights(quantized(tmp_path / "job", "cnn", StaticQuantization(**fields))) == kept


@pytest.mark.parametrize("fields", [{"exclude": ("embedding",)}, {"keep_float": ("embedding",)}], ids=str)
def test_static_int8_leaves_embeddings_out_when_it_is_told_to(tmp_path: Path, fields: dict) -> None:
    tables = [
        next(w.data_type for w in quantized(tmp_path / folder, "transformer", step).graph.initializer if 50 in w.dims)
        for folder, step in (("all", StaticQuantization()), ("told", StaticQuantization(**fields)))
    ]
    assert tables == [onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT]


def test_equal_names_in_different_blocks_are_told_apart(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "residual", StaticQuantization(only=("blocks.1.conv1",)))
    assert int8_weights(model) == {(32, 16, 3, 3)}


def test_dynamic_int8_leaves_convolutions_in_float(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "cnn", DynamicQuantization())
    assert "ConvInteger" not in operators(model)
    assert int8_weights(model) == {tuple(reversed(FC))}


def test_dynamic_int8_holds_lstm_weights(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "lstm", DynamicQuantization())
    assert "DynamicQuantizeLSTM" in operators(model)
    assert "LSTM" not in operators(model)


def test_dynamic_int8_leaves_out_what_it_is_told(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "lstm", DynamicQuantization(exclude=("head.*",)))
    assert "DynamicQuantizeLSTM" in operators(model)
    assert "MatMulInteger" not in operators(model)


def test_static_and_dynamic_share_a_recurrent_network(tmp_path: Path) -> None:
    model = quantized(tmp_path / "job", "lstm", StaticQuantization(), DynamicQuantization(only=("lstm",)))
    assert {"DynamicQuantizeLSTM", "QuantizeLinear"} <= operators(model)


def test_recurrent_layers_left_in_float_are_told(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["lstm"])
    assert any("recurrent" in warning for warning in compress(folder, (StaticQuantization(),)).warnings)


def test_dynamic_int8_needs_no_data(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    compression = compress(folder, (DynamicQuantization(),), with_data=False)
    assert file_of(compression, "model.onnx").quantized


class Repeated(nn.Module):
    """One layer, called twice: the quantizer would transpose its weights twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = torch.relu(self.fc(x))
        return self.head(x)


@pytest.mark.parametrize("step", [StaticQuantization(), DynamicQuantization()], ids=lambda step: step.technique)
def test_a_layer_that_is_called_again_is_quantized_once(tmp_path: Path, step: Step) -> None:
    folder = job_folder(tmp_path / "job", Example(Repeated, (16,)))
    model, _ = inspected(folder)
    compression = compress(folder, (step,), model=model)
    measured(folder, model, file_of(compression, "model.pt"))
    assert measured(folder, model, file_of(compression, "model.onnx")).verified.cosine > 0.99


def test_leaving_everything_out_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        quantized(tmp_path / "job", "mlp", StaticQuantization(exclude=("*",)))
    assert caught.value.code == "nothing_quantized"
    assert caught.value.step == 0


def test_a_misspelt_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="conv1, conv2, fc") as caught:
        quantized(tmp_path / "job", "cnn", StaticQuantization(exclude=("convolution1",)))
    assert caught.value.code == "pattern_matches_nothing"


def cosine(folder: Path, network: Example, step: Step) -> float:
    """Of the answers of the quantized file and those of the uncompressed one."""
    compression = compress(job_folder(folder, network), (step,))
    x = network.inputs(32, seed=9).numpy()
    sessions = [onnxruntime.InferenceSession(folder / file_of(compression, name).path) for name in FILES]
    quantized, exact = (session.run(None, {session.get_inputs()[0].name: x})[0].ravel() for session in sessions)
    return float(quantized @ exact / np.linalg.norm(quantized) / np.linalg.norm(exact))


FILES = ("model.onnx", "uncompressed.onnx")


@pytest.mark.parametrize("calibration", ["moving_average", "percentile", "entropy", "mse"])
def test_every_way_to_find_ranges_gives_a_file_that_agrees(tmp_path: Path, calibration: str) -> None:
    assert cosine(tmp_path / "job", NETWORKS["cnn"], StaticQuantization(calibration=calibration)) > 0.99


@pytest.mark.parametrize(
    "fields",
    [{"equalize": True}, {"bias_correction": True}, {"rounding": "adaround"}, {"smooth": True}, {"keep_float": "auto"}],
    ids=lambda fields: next(iter(fields)),
)
@pytest.mark.parametrize("network", ["cnn", "transformer"])
def test_every_way_to_lose_less_gives_a_file_that_agrees(tmp_path: Path, network: str, fields: dict) -> None:
    assert cosine(tmp_path / "job", NETWORKS[network], StaticQuantization(**fields)) > 0.98


def test_layers_named_in_keep_float_stay_in_float(tmp_path: Path) -> None:
    assert int8_weights(quantized(tmp_path / "job", "cnn", StaticQuantization(keep_float=("conv*",)))) == {FC}


def test_the_first_layer_stays_in_float(tmp_path: Path) -> None:
    every, first = (
        int8_weights(quantized(tmp_path / name, "cnn", StaticQuantization(keep_float=kept)))
        for name, kept in (("every", ()), ("first", "first"))
    )
    assert (every, first) == ({CONV1, CONV2, FC}, {CONV2, FC})


def test_onnx_runtime_leaves_a_layer_in_float_that_was_kept(tmp_path: Path) -> None:
    """Between layers in int8 it rounds a layer's weights unasked, with one scale for all of them."""
    layers = (nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    network = network_of(nn.Sequential(*layers), (4, 6, 6))
    run = run_over(network, np.random.default_rng(0).standard_normal((8, 4, 6, 6), dtype=np.float32))
    export(apply(StaticQuantization(keep_float=("2",)), network, run), "onnx", tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(tmp_path / "model.onnx", options)
    assert int8_weights(onnx.load(tmp_path / "run.onnx")) == {(6, 4, 1, 1), (4, 8, 1, 1)}


@pytest.mark.parametrize("fields", [{"bias_correction": True}, {"rounding": "adaround"}], ids=str)
def test_what_stays_in_float_is_not_adjusted_to_rounding(tmp_path: Path, fields: dict) -> None:
    models = []
    for name, steps in (("float", ()), ("int8", (StaticQuantization(keep_float=("conv1",), **fields),))):
        model = quantized(tmp_path / name, "cnn", *steps)
        models.append({each.name: numpy_helper.to_array(each) for each in model.graph.initializer})
    exact, found = models
    assert np.array_equal(exact["conv1.weight"], found["conv1.weight"])
    assert np.array_equal(exact["conv1.bias"], found["conv1.bias"])


def test_keep_float_names_layers_that_exist(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="conv1, conv2, fc"):
        quantized(tmp_path / "job", "cnn", StaticQuantization(keep_float=("convolution1",)))


def test_convolutions_in_8_bits_and_linear_layers_in_4_go_into_one_file(tmp_path: Path) -> None:
    folder, example = job_folder(tmp_path / "job", NETWORKS["cnn"]), NETWORKS["cnn"]
    steps = (StaticQuantization(exclude=("fc",)), WeightQuantization(bits=4, only=("fc",)))
    compression = compress(folder, steps, outputs=("onnx", "torchscript"))
    model = onnx.load(folder / file_of(compression, "model.onnx").path)
    assert int8_weights(model) == {CONV1, CONV2}
    assert "MatMulNBits" in operators(model)
    x = example.inputs(32, seed=9)
    session = onnxruntime.InferenceSession(folder / file_of(compression, "model.onnx").path)
    (in_onnx,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    in_torch = torch.jit.load(folder / file_of(compression, "model.torchscript.pt").path)(x).detach().numpy()
    assert np.corrcoef(in_onnx.ravel(), in_torch.ravel())[0, 1] > 0.99


def test_each_layer_is_reported(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    (timing,) = compress(folder, (StaticQuantization(keep_float=("conv1",)),)).steps
    (table,) = timing.details
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["layer"], row["bits"]) for row in rows] == [("conv1", 32), ("conv2", 8), ("fc", 8)]
    assert rows[1]["weight sqnr db"] > 30
    assert rows[1]["input low"] == 0.0


class Masked(nn.Module):
    """Attention that must not look ahead: minus infinity before the softmax."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.full((6, 6), float("-inf")).triu(1)
        return self.fc(self.encoder(x, mask=mask).mean(1))


@pytest.mark.parametrize("calibration", ["min_max", "percentile"])
def test_masks_of_minus_infinity_do_not_spoil_the_answers(tmp_path: Path, calibration: str) -> None:
    assert cosine(tmp_path / "job", Example(Masked, (6, 32)), StaticQuantization(calibration=calibration)) > 0.99
