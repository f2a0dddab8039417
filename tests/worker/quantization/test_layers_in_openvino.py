"""The report says of each layer of an OpenVINO file what NNCF has done to it."""

from pathlib import Path
from typing import Any

import pytest

from app.core.recipes import StaticQuantization, Step, WeightQuantization
from tests.worker.jobs import compress, job_folder
from tests.worker.networks import NETWORKS

pytest.importorskip("nncf")


def rows_of(folder: Path, step: Step, title: str, network: str = "cnn") -> dict[str, dict[str, Any]]:
    compression = compress(job_folder(folder / "job", NETWORKS[network]), (step,), outputs=("openvino",))
    (table,) = (each for each in compression.steps[0].details if each.title == title)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {row["layer"]: row for row in rows}


def test_statistics_range_grid_and_what_came_back(tmp_path: Path) -> None:
    weights = NETWORKS["cnn"].network().state_dict()
    rows = rows_of(tmp_path, StaticQuantization(exclude=("fc",)), "Layers")
    assert rows.keys() == {"conv1", "conv2", "fc"}
    for name in ("conv1", "conv2"):
        row, weight = rows[name], weights[f"{name}.weight"]
        assert row["bits"] == 8
        assert row["smallest weight"] == pytest.approx(float(weight.min()), rel=1e-5)
        assert row["largest weight"] == pytest.approx(float(weight.max()), rel=1e-5)
        assert row["input scale"] == pytest.approx((row["input high"] - row["input low"]) / 255, rel=1e-5)
    largest = weights["conv2.weight"].abs().amax((1, 2, 3)).median()
    assert rows["conv2"]["median scale"] == pytest.approx(float(largest) / 127, rel=0.05)
    assert 40 < rows["conv2"]["weight sqnr db"] < 60
    assert rows["conv1"]["input low"] < -2 < 2 < rows["conv1"]["input high"]
    assert (rows["conv2"]["input low"], rows["conv2"]["input zero point"]) == (0, 0)
    assert {name: value for name, value in rows["fc"].items() if value is not None} == {"layer": "fc", "bits": 32}


def test_layers_in_which_nncf_keeps_8_bits_are_told_from_those_in_4(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, WeightQuantization(bits=4, group_size=32), "Layers in OpenVINO")
    assert {name: row["bits"] for name, row in rows.items()} == {"conv1": 8, "conv2": 8, "fc": 4}
    assert rows["conv2"]["weight sqnr db"] > 35


def test_recurrent_layers_are_in_float32(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, StaticQuantization(), "Layers", "lstm")
    assert {name: row["bits"] for name, row in rows.items()} == {"lstm": 32, "head.0": 8, "head.2": 8}


def test_embeddings_and_attention_are_listed(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, StaticQuantization(), "Layers", "transformer")
    assert rows["embedding"]["bits"] == 8
    assert rows["encoder.layers.1.self_attn.out_proj"]["input scale"] > 0
    assert len(rows) == 1 + 2 * 4 + 1
