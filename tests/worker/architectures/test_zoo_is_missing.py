"""The extra `zoo` is not part of the default environment."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from app.core.architectures import ZooArchitecture
from app.core.errors import Invalid
from worker.loading.state_dicts import load_state_dict


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_where_the_library_is_missing_the_answer_says_how_to_install_it(tmp_path: Path, library: str) -> None:
    if importlib.util.find_spec(library) is not None:
        pytest.skip("it is installed here")
    save_file({"fc.weight": torch.ones(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(Invalid, match="pip install") as caught:
        load_state_dict(tmp_path / "weights.safetensors", ZooArchitecture(source=library, name="resnet18"))
    assert caught.value.code == "architecture_unavailable"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hf-hub:someone/code", {}),
        ("../resnet18", {}),
        ("resnet18", {"pretrained": True}),
        ("resnet18", {"weights": "DEFAULT"}),
        ("resnet18", {"checkpoint_path": "elsewhere"}),
        ("resnet18", {"pretrained_cfg_overlay": "x"}),
        ("resnet18", {"block": {"_target_": "os.system"}}),
        ("resnet18", {"num_classes": 10**12}),
        ("resnet18", {"depths": [1] * 65}),
    ],
)
def test_what_would_fetch_or_be_huge_is_refused_at_once(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ZooArchitecture(source="timm", name=name, arguments=arguments)
