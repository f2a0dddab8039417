"""A state dict and a description of its network -> that network with these weights."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from app.core.architectures import Architecture
from app.core.errors import Invalid
from app.core.layouts import plainly_named
from worker.architectures import (
    Material,
    another_model,  # noqa: F401  each registers its builder
    build,
    layers,  # noqa: F401
    transformers,  # noqa: F401
    written,  # noqa: F401
    zoo,  # noqa: F401
)
from worker.weights_alone import WeightsAlone


def load_state_dict(path: Path, architecture: Architecture | None, base: nn.Module | None = None) -> nn.Module:
    """Every tensor of the file has its place in the network and every place its tensor, or it is refused. Without an
    architecture the weights stay alone.

    `base` is the network of the model that the architecture names.
    """
    if architecture is None:
        return WeightsAlone(read_tensors(path))
    return build(architecture, Material(read_tensors(path), base))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """By their names as the network has them."""
    try:
        tensors = load_file(path)
    except Exception as error:
        raise Invalid(
            "The file is damaged, or not a state dict. Save it again with torch.save(model.state_dict(), path) or "
            "safetensors.torch.save_file.",
            code="load_failed",
            title="The model can't be loaded",
        ) from error
    return plainly_named(tensors)
