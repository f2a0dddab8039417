"""Files as torch and safetensors write them are read, and pickled ones are converted without a changed bit."""

import argparse
from pathlib import Path

import numpy
import pytest
import safetensors.torch
import torch
from torch import nn

from app.core.uploads import convert_to_safetensors, read_model

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool,
)  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lstm(self.embedding(ids))[0] * self.scale + torch.tensor([[1.0]])


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 6 * 6, 3))


@pytest.fixture(params=["zip", "legacy", "zip-protocol-4", "legacy-protocol-4"])
def save(request: pytest.FixtureRequest, tmp_path: Path):
    def write(content: object) -> Path:
        path = tmp_path / "weights.pt"
        protocol = 4 if "protocol" in request.param else 2
        torch.save(content, path, _use_new_zipfile_serialization="zip" in request.param, pickle_protocol=protocol)
        return path

    return write


def converted(path: Path) -> dict[str, torch.Tensor]:
    target = path.with_suffix(".safetensors")
    with target.open("wb") as file:
        convert_to_safetensors(path, file)
    return safetensors.torch.load_file(target)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach())


def test_a_state_dict_keeps_every_bit(save):
    state = convolutional().state_dict()
    path = save(state)
    upload = read_model(path, "weights.pt")
    assert upload.format == "state_dict"
    assert {name: tensor.shape for name, tensor in upload.tensors.items()} == {
        k: tuple(v.shape) for k, v in state.items()
    }
    assert upload.tensors["1.num_batches_tracked"].dtype == "int64"
    assert_same(converted(path), state)


def test_every_dtype_keeps_every_bit(save):
    state = {str(dtype).removeprefix("torch."): (torch.arange(6) % 2).to(dtype).reshape(2, 3) for dtype in DTYPES}
    path = save(state)
    upload = read_model(path, "weights.pt")
    assert all(tensor.dtype == name for name, tensor in upload.tensors.items())
    assert_same(converted(path), state)


def test_views_become_contiguous(save):
    base = torch.arange(60, dtype=torch.float32)
    state = {
        "transposed": base.view(6, 10).t(),
        "offset": base[7:11],
        "stepped": base[1::3],
        "inner": base.view(3, 4, 5)[1:, ::2, 1:4],
        "channels_last": base.view(1, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "longer_than_a_chunk": torch.arange(420_000, dtype=torch.int32).view(600, 700).t(),
        "row_longer_than_a_chunk": torch.arange(2_200_000).to(torch.uint8)[1::2],
        "tied": base,
        "tied_too": base,
        "unsqueezed": base[:5].expand(1, -1),
        "scalar": base[3],
        "empty": torch.zeros(0, 3),
    }
    assert_same(converted(save(state)), state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model_state", "model"])
def test_a_checkpoint_is_searched_for_its_weights(save, key):
    network = nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        key: network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "device": torch.device("cpu"),
    }
    assert set(read_model(save(checkpoint), "checkpoint.pt").tensors) == {"weight", "bias"}


def test_the_prefix_of_data_parallel_is_taken_off(save):
    state = nn.DataParallel(nn.Linear(2, 3)).state_dict()
    assert set(read_model(save(state), "weights.pt").tensors) == {"weight", "bias"}
    assert set(converted(save(state))) == {"weight", "bias"}


def test_a_prefix_that_not_all_names_have_stays(save):
    assert set(read_model(save({"module.a": torch.ones(1), "b": torch.ones(1)}), "w.pt").tensors) == {"module.a", "b"}


def test_parameters_and_attributes_are_read(save):
    marked = nn.Parameter(torch.ones(2))
    marked.note = "kept by torch.save"
    state = {"plain": nn.Parameter(torch.ones(3), requires_grad=False), "marked": marked}
    assert_same(converted(save(state)), state)


def test_a_checkpoint_may_hold_harmless_values(save):
    checkpoint = {"state_dict": {"a": torch.ones(1)}, "args": argparse.Namespace(rate=0.1), "best": numpy.float64(0.5)}
    assert set(read_model(save(checkpoint), "checkpoint.pt").tensors) == {"a"}


@pytest.mark.parametrize("network", [convolutional(), Recurrent()], ids=["convolutional", "recurrent"])
def test_a_scripted_archive_is_accepted(tmp_path, network):
    torch.jit.save(torch.jit.script(network), tmp_path / "scripted.pt")
    assert read_model(tmp_path / "scripted.pt", "scripted.pt").format == "torchscript"


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("network", "example"),
    [(convolutional(), torch.zeros(2, 1, 8, 8)), (Recurrent(), torch.zeros(2, 3, dtype=torch.int64))],
    ids=["convolutional", "recurrent"],
)
def test_a_traced_archive_is_accepted(tmp_path, network, example):
    torch.jit.save(torch.jit.trace(network.eval(), example), tmp_path / "traced.pt")
    assert read_model(tmp_path / "traced.pt", "traced.pt").format == "torchscript"


def test_a_frozen_archive_with_extra_files_is_accepted(tmp_path):
    frozen = torch.jit.freeze(torch.jit.script(convolutional().eval()))
    torch.jit.save(frozen, tmp_path / "frozen.pt", _extra_files={"labels.txt": "a,b,c"})
    assert read_model(tmp_path / "frozen.pt", "frozen.pt").format == "torchscript"


def test_a_safetensors_file_is_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(convolutional().state_dict(), path, metadata={"format": "pt"})
    upload = read_model(path, "weights.safetensors")
    assert upload.format == "safetensors"
    assert upload.tensors["0.weight"].shape == (2, 1, 3, 3)
    assert upload.tensors["0.weight"].dtype == "float32"


def test_the_prefix_of_data_parallel_is_taken_off_safetensors_too(tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"module.a": torch.ones(1), "module.b": torch.ones(1)}, path)
    assert set(read_model(path, "weights.safetensors").tensors) == {"a", "b"}


@pytest.mark.parametrize("length", [0x0280, 0x0480])
def test_a_header_whose_length_begins_like_a_pickle_is_no_pickle(length: int, tmp_path: Path) -> None:
    entry = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "model").write_bytes(length.to_bytes(8, "little") + entry.ljust(length) + bytes(4))
    assert read_model(tmp_path / "model", "model").format == "safetensors"
