"""Bits by layer, from what each layer does to the answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from app.core.details import DetailTable
from app.core.errors import Invalid, Problem
from app.core.recipes import MixedPrecision
from app.core.tasks import Compression
from tests.worker.archives.folders import VECTORS, ArchiveFolder
from tests.worker.archives.odd_networks import Remembering
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import NETWORKS, Example


def sensitive_in_the_middle() -> nn.Module:
    """Weights of the second layer that multiply zero are so large that few bits leave their neighbours none."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    with torch.no_grad():
        network[0].weight[0], network[0].bias[0] = 0, -10
        network[2].weight[:, 0] = 1
    return network


SENSITIVE = Example(sensitive_in_the_middle, (20,))


def table(compression: Compression, title: str) -> DetailTable:
    return next(each for each in compression.steps[0].details if each.title == title)


def bits_of(compression: Compression) -> dict[Any, Any]:
    layers = table(compression, "Layers")
    return {row[layers.columns.index("layer")]: row[layers.columns.index("bits")] for row in layers.rows}


def smallest_size(folder: Path, step: MixedPrecision, outputs: tuple[str, ...] = ("onnx",)) -> int:
    """As the refusal of a budget says it."""
    with pytest.raises(Invalid) as refused:
        compress(folder, (step,), outputs=outputs)
    assert refused.value.code == "size_out_of_reach"
    return int(refused.value.detail.split(" bytes")[0].split()[-1].replace(",", ""))


def size_of(folder: Path, compression: Compression, name: str) -> int:
    file = file_of(compression, name)
    return sum((folder / path).stat().st_size for path in (file.path, *file.companions))


def test_a_sensitive_layer_has_more_bits(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", SENSITIVE)
    budget = smallest_size(folder, MixedPrecision(bits=(2, 4), budget={"size_bytes": 1})) + 1300
    bits = bits_of(compress(folder, (MixedPrecision(bits=(2, 4), budget={"size_bytes": budget}),)))
    assert bits["2"] > bits["0"]


def test_quality_falls_no_more_than_it_may(tmp_path: Path) -> None:
    """Every fall that is found is written into the report; none at all leaves what answers differently in float32."""
    folder = job_folder(tmp_path / "job", SENSITIVE)
    strict = compress(folder, (MixedPrecision(bits=(2,), budget={"max_quality_drop": 0}),))
    lenient = compress(
        job_folder(tmp_path / "again", SENSITIVE), (MixedPrecision(bits=(2,), budget={"max_quality_drop": 1}),)
    )
    assert set(bits_of(lenient).values()) == {2}
    assert 32 in bits_of(strict).values()
    for compression, allowed in ((strict, 0), (lenient, 1)):
        budget = table(compression, "Budget")
        found = dict(zip(budget.columns, budget.rows[0], strict=True))
        assert found["drop"] <= found["allowed"] == allowed
        assert found["metric"] == "accuracy"


@pytest.mark.parametrize("outputs", [("onnx",), ("state_dict", "torchscript")], ids=lambda each: each[0])
def test_files_are_as_small_as_asked_for_and_no_smaller_can_be(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    example = NETWORKS["residual"]
    folder = job_folder(tmp_path / "job", example)
    smallest = smallest_size(folder, MixedPrecision(budget={"size_bytes": 100}), outputs)
    for budget in (smallest + 300, smallest + 3000):
        folder = job_folder(tmp_path / str(budget), example)
        compression = compress(folder, (MixedPrecision(budget={"size_bytes": budget}),), outputs=outputs)
        names = [file.name for file in compression.files if file.quantized and file.role == "artifact"]
        assert budget - 6000 <= max(size_of(folder, compression, name) for name in names) <= budget


def test_files_answer_as_the_network_that_was_judged(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    model, _ = inspected(folder)
    compression = compress(
        folder,
        (MixedPrecision(bits=(3, 8), budget={"max_quality_drop": 0.1}),),
        outputs=("onnx", "state_dict", "torchscript"),
        model=model,
    )
    for file in sorted(compression.files, key=lambda each: each.role != "upload"):
        assert measured(folder, model, file).verified.cosine > 0.99999


def test_without_data_layers_are_judged_by_random_inputs(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    compression = compress(folder, (MixedPrecision(budget={"size_bytes": 20_000}),), with_data=False)
    assert any("random inputs" in warning for warning in compression.warnings)


def test_what_is_excluded_stays_in_float32(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    step = MixedPrecision(exclude=("2",), budget={"max_quality_drop": 1})
    assert "2" not in bits_of(compress(folder, (step,)))


def test_layers_that_are_too_small_are_a_reason_to_fail(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: nn.Linear(5, 4), (5,)))
    with pytest.raises(Problem) as refused:
        compress(folder, (MixedPrecision(),))
    assert refused.value.code == "nothing_quantized"


def test_archives_that_keep_their_forward_have_bits_by_layer_too(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "job", Remembering(), VECTORS)
    compression = folder.compressed(MixedPrecision(bits=(4, 8), budget={"size_bytes": 1_000_000}))
    smaller = ArchiveFolder(tmp_path / "again", Remembering(), VECTORS).compressed(
        MixedPrecision(bits=(8,), exclude=("body.0",), budget={"size_bytes": 45_000})
    )
    assert set(bits_of(compression).values()) == {32}
    assert bits_of(smaller).keys() == {"body.2"}
