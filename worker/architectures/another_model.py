"""Weights that fit another upload: its network, with the file's weights in place of its own."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from app.core.architectures import ModelArchitecture
from app.core.layouts import plain_names
from worker.architectures import Material, build
from worker.architectures.fit import check_fit, malformed, shapes_of, widened, with_counters

ADVICE = "Name the model whose state_dict() has these keys and shapes, or upload the whole network as TorchScript."


_STATISTICS = ("running_mean", "running_var")


@build.register
def _(architecture: ModelArchitecture, material: Material) -> nn.Module:
    network = material.base
    if network is None:
        raise malformed(f"{architecture.model} is no longer there. Upload it again, and this file with its new id.")
    state = network.float().state_dict()
    plain = dict(zip(state, plain_names(state), strict=True))
    own = {plain[name]: tensor for name, tensor in state.items()}
    fleeting = {plain.get(name, name): tensor for name, tensor in _fleeting(network)}
    weights = with_counters(material.weights, own)
    check_fit(shapes_of(own), shapes_of({**fleeting, **weights}), ADVICE)
    _fill(own, weights)
    return network


def _fleeting(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers that a state dict may leave out although an archive keeps them, such as a table of positions."""
    return ((name, tensor) for name, tensor in network.named_buffers() if not name.endswith(_STATISTICS))


@torch.no_grad()
def _fill(own: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """In place, since an archive may hold one tensor under several names."""
    for name, tensor in weights.items():
        own[name].copy_(widened(tensor))
