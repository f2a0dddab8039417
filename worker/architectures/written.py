"""A network that was written as network.json -> that network, with the weights that stand beside it."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from app.core.architectures import NetworkArchitecture
from worker.architectures import Material, build, untrained
from worker.architectures.fit import check_fit, malformed, shapes_of, widened
from worker.architectures.layers import check_arguments
from worker.exporting.load_network import build_network, layer_class, unpacked, with_weights
from worker.training.initialization import initialize

ADVICE = "Send the network.json that was written beside these weights."


@build.register
def _(architecture: NetworkArchitecture, material: Material) -> nn.Module:
    network, tied, renamed = _network(architecture), architecture.network.tied, architecture.network.renamed
    shapes = shapes_of(network.state_dict())
    expected = {renamed.get(name, name): shape for name, shape in shapes.items() if name not in tied}
    weights = _unpacked(architecture, material)
    check_fit(expected, shapes_of(weights), ADVICE)
    return with_weights(network, tied, {name: widened(tensor) for name, tensor in weights.items()}, renamed)


def _unpacked(architecture: NetworkArchitecture, material: Material) -> dict[str, Tensor]:
    try:
        return unpacked(dict(material.weights), architecture.network.model_dump(include={"packed", "deflated"}))
    except Exception as error:
        raise malformed(
            "network.json says of a tensor that it is stored in fewer bytes, and what the file holds can't be unpacked "
            f"so. {ADVICE}"
        ) from error


@untrained.register
def _(architecture: NetworkArchitecture) -> nn.Module:
    network = _network(architecture).to_empty(device="cpu")
    initialize(network, None, torch.initial_seed())
    return network.requires_grad_(True).eval()


def _network(architecture: NetworkArchitecture) -> fx.GraphModule:
    """On the meta device, so that a description can't ask for more memory than the file has."""
    description: dict[str, Any] = architecture.network.model_dump(mode="json")
    for layer in architecture.network.layers:
        known_class = layer_class(layer.layer_class)
        if not (isinstance(known_class, type) and issubclass(known_class, nn.Module)):
            raise malformed(f"torch.nn has no {layer.layer_class}, which network.json names for {layer.name}.")
        check_arguments(known_class, layer.arguments, layer.name)
    try:
        network = build_network(description)
        network.graph.lint()
        known = network.state_dict()
        for alias, name in architecture.network.tied.items():
            known[alias], known[name]
    except Exception as error:
        raise malformed(
            "network.json doesn't describe a network: a layer can't be made with its arguments, or the graph reads "
            "what isn't there. Send it as it was written."
        ) from error
    return network
