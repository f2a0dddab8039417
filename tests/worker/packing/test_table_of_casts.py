"""What a report says of weights that were cast to fewer bits."""

from typing import Any

import pytest
import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from app.core.recipes import FloatCasting
from tests.worker.jobs import silent
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

DTYPES = {"float16": (65, 90), "bfloat16": (45, 65), "float8_e4m3": (25, 40), "float8_e5m2": (18, 35)}


def rows_of(step: FloatCasting, layers: nn.Sequential) -> dict[str, dict[str, Any]]:
    network = Network(fx.symbolic_trace(layers.eval()), (InputSpec(name="x", shape=("batch", 20), dtype="float32"),))
    run = Run(0, silent, network)
    apply(step, network, run)
    (table,) = run.take_details()
    assert table.title == "Weights"
    return {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.Linear(64, 64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_range_and_error_of_each_weight(dtype: str) -> None:
    layers = two_layers()
    weight = layers[0].weight.detach().clone()
    row = rows_of(FloatCasting(dtype=dtype), layers)["0.weight"]
    assert row["stored as"] == dtype
    assert row["smallest weight"] == pytest.approx(float(weight.min()))
    assert row["largest weight"] == pytest.approx(float(weight.max()))
    assert row["values not held"] == 0
    low, high = DTYPES[dtype]
    assert low < row["weight sqnr db"] < high


def test_eight_bits_have_scales() -> None:
    layers = two_layers()
    largest = layers[1].weight.detach().abs().amax(1).median()
    row = rows_of(FloatCasting(dtype="float8_e4m3"), layers)["1.weight"]
    assert row["median scale"] == pytest.approx(float(largest) / 448, rel=1e-5)


@pytest.mark.parametrize(("dtype", "value"), [("float16", 1e5), ("float8_e5m2", float("inf"))])
def test_values_that_cannot_be_held_are_counted(dtype: str, value: float) -> None:
    layers = two_layers()
    with torch.no_grad():
        layers[0].weight[0, :3] = value
    rows = rows_of(FloatCasting(dtype=dtype), layers)
    assert (rows["0.weight"]["stored as"], rows["0.weight"]["values not held"]) == ("float32", 3)
    assert rows["0.weight"]["weight sqnr db"] is None
    assert rows["1.weight"]["stored as"] == dtype


def test_values_that_became_zero_are_counted() -> None:
    layers = two_layers()
    with torch.no_grad():
        layers[0].weight[0, :3] = 1e-9
    assert rows_of(FloatCasting(), layers)["0.weight"]["values made zero"] == 3
    assert rows_of(FloatCasting(dtype="bfloat16"), two_layers())["0.weight"]["values made zero"] == 0
