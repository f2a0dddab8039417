"""Weights in fewer bits: what they unpack to, and files that hold them."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from app.core.errors import Problem
from app.core.recipes import FloatCasting, Step, WeightQuantization
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured
from tests.worker.networks import NETWORKS
from worker.packing.in_torchscript import pack_archive
from worker.packing.packed import Cast, Packed
from worker.packing.rounding import rounded

STEPS = (
    ("every_kind", FloatCasting()),
    ("cnn", FloatCasting(dtype="bfloat16")),
    ("every_kind", WeightQuantization()),
    ("cnn", WeightQuantization(method="symmetric", group_size=None)),
)
FORMATS = ("onnx", "torchscript", "state_dict")


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group_size", [8, 128, None])
def test_rounding_is_within_half_a_level_and_keeps_zeros(symmetric: bool, group_size: int | None) -> None:
    weight = torch.randn(6, 3, 16, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    weight[0, :, 0] = 0
    packed = rounded(weight, 6, group_size, symmetric=symmetric)
    assert len(packed.scale) == weight.numel() // (group_size if group_size == 8 else 48)
    levels = packed.scale.repeat_interleave(weight.numel() // len(packed.scale)).reshape(weight.shape)
    assert bool(((packed.unpacked() - weight).abs() <= 0.5001 * levels).all())
    assert bool((packed.unpacked()[weight == 0] == 0).all())
    assert packed.codes.element_size() == 1


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_files_are_smaller_and_answer_as_the_network_in_memory(name: str, step: Step, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS[name])
    model, _ = inspected(folder)
    compression = compress(folder, (step,), outputs=FORMATS, model=model)
    measured(folder, model, compression.files[0])
    for suffix in (".onnx", ".torchscript.pt", ".safetensors"):
        file = file_of(compression, f"model{suffix}")
        before = folder / file_of(compression, f"model.float32{suffix}").path
        assert (folder / file.path).stat().st_size < (
            0.8 if suffix == ".torchscript.pt" else 0.6
        ) * before.stat().st_size
        found = measured(folder, model, file)
        assert found.quality.cosine > 0.999
        assert found.verified.max_difference <= (1e-2 if suffix == ".onnx" else 1e-6)


def test_the_onnx_file_unpacks_when_a_session_starts(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    model = onnx.load(folder / file_of(compress(folder, (FloatCasting(),)), "model.onnx").path)
    assert {one.data_type for one in model.graph.initializer if one.dims} == {
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.FLOAT,
    }
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {node.op_type for node in model.graph.node} <= {"Cast", "Gemm", "Relu", "MatMul", "Add"}


def test_layers_that_are_left_out_keep_their_values(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["cnn"])
    compression = compress(folder, (WeightQuantization(only=("fc",)),), outputs=("state_dict",))
    described = json.loads((folder / "outputs/network.json").read_text())
    assert described["packed"] == {"fc.weight": "grouped"}
    assert file_of(compression, "model.safetensors").quantized


def test_nothing_to_quantize_is_said(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["residual"])
    with pytest.raises(Problem) as refusal:
        compress(folder, (WeightQuantization(only=("blocks.0.norm1",)),))
    assert refusal.value.code == "nothing_quantized"


def test_what_a_half_cannot_hold_stays_as_it_is(tmp_path: Path) -> None:
    example = NETWORKS["mlp"]
    network = example.network()
    with torch.no_grad():
        network[0].bias[0] = 1e6
    folder = job_folder(tmp_path / "job", example)
    torch.jit.save(torch.jit.trace(network, example.inputs(2)), str(folder / "inputs/model.pt"))
    compression = compress(folder, (FloatCasting(),), outputs=("torchscript",))
    assert any("`0.bias` stays in float32" in warning for warning in compression.warnings)


@pytest.mark.parametrize("bits", [8, 3])
@pytest.mark.parametrize("packs", ["all", "first"])
def test_modules_that_share_code_are_packed_each_for_itself(packs: str, bits: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)).eval()
    path = tmp_path / "archive.pt"
    names = ["0.weight", "2.weight"] if packs == "all" else ["0.weight"]
    packed: dict[str, Packed] = {
        name: rounded(network.get_parameter(name), 16, 8, symmetric=False, bits=bits) for name in names
    }
    with torch.no_grad():
        for name, one in packed.items():
            network.get_parameter(name).copy_(one.unpacked())
    torch.jit.save(torch.jit.script(network), str(path))
    pack_archive(path, packed)
    examples = torch.randn(3, 16)
    torch.testing.assert_close(torch.jit.load(str(path))(examples), network(examples))


def test_a_packed_archive_can_be_compressed_again(tmp_path: Path) -> None:
    example = NETWORKS["cnn"]
    folder = job_folder(tmp_path / "job", example)
    first = compress(folder, (FloatCasting(),), outputs=("torchscript",))
    again = job_folder(tmp_path / "again", example)
    (again / "inputs/model.pt").write_bytes((folder / file_of(first, "model.torchscript.pt").path).read_bytes())
    _, inspection = inspected(again)
    assert inspection.facts.editable == "whole"
    assert {layer.type for layer in inspection.facts.layers} >= {"Conv2d", "Linear"}


def test_unpacking_is_exact() -> None:
    halves = torch.randn(4, 4).half()
    assert torch.equal(Cast(halves).unpacked(), halves.float())
