from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from app.core.architectures import LayersArchitecture
from app.core.errors import Invalid
from tests.worker.networks import ResidualBlock
from worker.loading.state_dicts import load_state_dict

LINEAR = {"type": "Linear", "name": "fc", "in_features": 3, "out_features": 2}


def architecture(*layers: dict[str, Any]) -> LayersArchitecture:
    return LayersArchitecture.model_validate({"source": "layers", "layers": layers})


def saved(folder: Path, weights: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def loaded(folder: Path, weights: dict[str, Tensor], *layers: dict[str, Any]) -> nn.Module:
    return load_state_dict(saved(folder, weights), architecture(*layers))


def test_unnamed_layers_are_numbered_as_in_a_sequential(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    rebuilt = loaded(
        tmp_path,
        network.state_dict(),
        {"type": "Conv2d", "in_channels": 3, "out_channels": 4, "kernel_size": 3},
        {"type": "BatchNorm2d", "num_features": 4},
        {"type": "ReLU", "inplace": True},
        {"type": "Flatten"},
        {"type": "Linear", "in_features": 64, "out_features": 2},
    )
    x = torch.randn(5, 3, 6, 6)
    assert torch.equal(rebuilt(x), network(x))
    assert list(rebuilt.state_dict()) == list(network.state_dict())
    assert all(parameter.requires_grad for parameter in rebuilt.parameters())


def test_a_residual_block_adds_its_shortcut(tmp_path: Path) -> None:
    block = ResidualBlock(3, 4, 2).eval()
    rebuilt = loaded(
        tmp_path,
        {f"block.{name}": tensor for name, tensor in block.state_dict().items()},
        {
            "type": "Residual",
            "name": "block",
            "layers": [
                _convolution("conv1", 3, stride=2, padding=1),
                {"type": "BatchNorm2d", "name": "norm1", "num_features": 4},
                {"type": "ReLU"},
                _convolution("conv2", 4, padding=1),
                {"type": "BatchNorm2d", "name": "norm2", "num_features": 4},
            ],
            "shortcut": [_convolution("shortcut", 3, stride=2, kernel_size=1)],
        },
        {"type": "ReLU"},
    )
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(rebuilt(x), block(x))


def _convolution(name: str, channels: int, **more: Any) -> dict[str, Any]:
    known = {"in_channels": channels, "out_channels": 4, "kernel_size": 3, "bias": False}
    return {"type": "Conv2d", "name": name} | known | more


@pytest.mark.parametrize(("join", "width"), [("sum", 2), ("concat", 4)])
def test_parallel_branches_are_joined(tmp_path: Path, join: str, width: int) -> None:
    branch = [{"type": "Linear", "in_features": 3, "out_features": 2}]
    weights = {f"0.{n}.0.{k}": torch.full(s, n + 1.0) for n in (0, 1) for k, s in (("weight", (2, 3)), ("bias", (2,)))}
    rebuilt = loaded(tmp_path, weights, {"type": "Parallel", "branches": [branch, branch], "join": join})
    answer = rebuilt(torch.ones(1, 3))
    assert answer.tolist() == ([[12.0, 12.0]] if join == "sum" else [[4.0, 4.0, 8.0, 8.0]])
    assert answer.shape[1] == width


def test_recurrent_layers_pass_their_outputs_on(tmp_path: Path) -> None:
    lstm, fc = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 2)
    weights = {f"lstm.{n}": t for n, t in lstm.state_dict().items()} | {
        f"fc.{n}": t for n, t in fc.state_dict().items()
    }
    rebuilt = loaded(
        tmp_path,
        weights,
        {"type": "LSTM", "name": "lstm", "input_size": 3, "hidden_size": 4, "batch_first": True, "bidirectional": True},
        {"type": "Linear", "name": "fc", "in_features": 8, "out_features": 2},
    )
    x = torch.randn(2, 5, 3)
    assert torch.allclose(rebuilt(x), fc(lstm(x)[0]))


def test_half_precision_is_widened(tmp_path: Path) -> None:
    weights = {"fc.weight": torch.ones(2, 3).half(), "fc.bias": torch.zeros(2).half()}
    assert loaded(tmp_path, weights, LINEAR).get_parameter("fc.weight").dtype == torch.float32


def test_missing_unknown_and_misshapen_weights_are_all_named(tmp_path: Path) -> None:
    weights = {"fc.weight": torch.ones(2, 4), "head.weight": torch.ones(1)}
    with pytest.raises(Invalid) as caught:
        loaded(tmp_path, weights, LINEAR)
    assert caught.value.code == "weights_do_not_fit"
    for words in ("no fc.bias", "no place for head.weight", "fc.weight (file [2, 4], network [2, 3])"):
        assert words in caught.value.detail


def test_long_lists_of_keys_are_cut(tmp_path: Path) -> None:
    weights = {f"extra{number}": torch.ones(1) for number in range(30)}
    with pytest.raises(Invalid, match="and 20 more"):
        loaded(tmp_path, weights | {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}, LINEAR)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"type": "Linear", "in_features": 3}, "needs out_features"),
        ({"type": "Linear", "in_features": 3, "out_features": 2, "units": 5}, "no argument units"),
        ({"type": "Linear", "in_features": 3, "out_features": 2, "device": "cuda"}, "no argument device"),
        ({"type": "Linear", "in_features": "three", "out_features": 2}, "can't be made"),
        ({"type": "Conv2d", "in_channels": 3, "out_channels": 4, "kernel_size": 3, "groups": 2}, "can't be made"),
        ({"type": "Linear", "in_features": 10**12, "out_features": 2}, "beyond"),
        ({"type": "LSTM", "input_size": 3, "hidden_size": 4, "num_layers": 10**6}, "beyond"),
    ],
)
def test_a_layer_that_can_not_be_made_is_explained(tmp_path: Path, layer: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        loaded(tmp_path, {"weight": torch.ones(1)}, layer)
    assert caught.value.code == "architecture_malformed"


def test_a_description_can_not_ask_for_more_memory_than_the_file_has(tmp_path: Path) -> None:
    huge = {"type": "Linear", "name": "fc", "in_features": 1 << 24, "out_features": 1 << 24}
    with pytest.raises(Invalid) as caught:
        loaded(tmp_path, {"fc.weight": torch.ones(1), "fc.bias": torch.ones(1)}, huge)
    assert caught.value.code == "weights_do_not_fit"


def test_two_layers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="Two layers are named fc"):
        loaded(tmp_path, {"fc.weight": torch.ones(2, 3)}, LINEAR, LINEAR)
