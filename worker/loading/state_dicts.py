"""A state dict and a description of its network -> an editable network."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, fx

from app.core.architectures import Architecture
from app.core.errors import Invalid
from worker.architectures.layers import build_layers

_LISTED = 10
_COUNTER = "num_batches_tracked"


def load_state_dict(path: Path, architecture: Architecture | None) -> fx.GraphModule:
    """Every tensor of the file has its place in the network and every place its tensor, or it is refused."""
    if architecture is None:
        raise Invalid(
            "A state dict holds weights, not the network that they belong to. Describe it in `architecture`, for "
            'example {"source": "layers", "layers": [...]}, or upload the network as TorchScript.',
            code="architecture_required",
            title="The state dict's network is unknown",
        )
    weights = _read(path)
    module = build_layers(architecture)
    expected = module.state_dict()
    weights.update(_missing_counters(expected, weights))
    check_fit(expected, weights)
    module.load_state_dict({name: _widened(tensor) for name, tensor in weights.items()}, assign=True)
    return module.requires_grad_(True).eval()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:
        raise Invalid(
            "The file is damaged, or not a state dict. Save it again with torch.save(model.state_dict(), path) or "
            "safetensors.torch.save_file.",
            code="load_failed",
            title="The model can't be loaded",
        ) from error


def _missing_counters(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Checkpoints from before torch 0.4.1 don't count a norm's batches, which inference doesn't use."""
    return {n: torch.tensor(0) for n in expected if n.endswith(_COUNTER) and n not in weights}


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def check_fit(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    misshapen = [
        f"{name} (file {_shape(weights[name])}, network {_shape(expected[name])})"
        for name in expected
        if name in weights and expected[name].shape != weights[name].shape
    ]
    complaints = {
        "the file has no": [name for name in expected if name not in weights],
        "the network has no place for": [name for name in weights if name not in expected],
        "the shapes differ of": misshapen,
    }
    found = "; ".join(f"{words} {_listed(names)}" for words, names in complaints.items() if names)
    if found:
        raise Invalid(
            f"The weights don't fit the architecture: {found}. Correct `architecture`: a layer's `name` is the part "
            "of the key before .weight.",
            code="weights_do_not_fit",
            title="The weights don't fit the architecture",
        )


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
