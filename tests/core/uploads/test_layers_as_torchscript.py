"""Every layer of torch.nn that can be scripted gives an archive whose code is allowed."""

from pathlib import Path

import pytest
import torch
from torch import nn

from app.core.uploads import read_model

ARGUMENTS = {
    "Bilinear": (4, 4, 4),
    "EmbeddingBag": (5, 4),
    "Fold": ((4, 4), 2),
    "FractionalMaxPool2d": (2, 2),
    "FractionalMaxPool3d": (2, 2),
    "GroupNorm": (2, 4),
    "LPPool1d": (2, 2),
    "LPPool2d": (2, 2),
    "MultiheadAttention": (4, 2),
    "Threshold": (1.0, 2.0),
    "Transformer": (4, 2, 1, 1, 8),
    "TransformerDecoderLayer": (4, 2, 8),
    "TransformerEncoderLayer": (4, 2, 8),
    "Unflatten": (1, (2, 2)),
    "UpsamplingBilinear2d": (None, 2),
    "UpsamplingNearest2d": (None, 2),
}
NOT_SCRIPTABLE = {
    "AdaptiveLogSoftmaxWithLoss",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "CrossMapLRN2d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "SyncBatchNorm",
}
BASES_AND_CONTAINERS = {
    "Container",
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "RNNBase",
    "RNNCellBase",
    "TransformerDecoder",
    "TransformerEncoder",
}


def layers() -> list[str]:
    classes = {name for name, value in vars(nn).items() if isinstance(value, type) and issubclass(value, nn.Module)}
    names = classes - NOT_SCRIPTABLE - BASES_AND_CONTAINERS
    return sorted(name for name in names if not any(part in name for part in ("Lazy", "Parallel", "Loss")))


def made(name: str) -> nn.Module:
    for arguments in [ARGUMENTS[name]] if name in ARGUMENTS else [(), (2,), (4, 4, 3), (4, 4)]:
        try:
            return getattr(nn, name)(*arguments)
        except TypeError:
            continue
    raise NotImplementedError(f"torch.nn.{name} needs arguments: add them to ARGUMENTS")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", layers())
def test_a_layer_is_accepted(tmp_path: Path, name: str) -> None:
    layer = made(name)
    if name == "TransformerEncoderLayer":
        layer = nn.TransformerEncoder(layer, 2)
    torch.jit.save(torch.jit.script(layer), tmp_path / "layer.pt")
    assert read_model(tmp_path / "layer.pt", "layer.pt").format == "torchscript"
