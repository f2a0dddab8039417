"""The inputs that a traced archive was traced with: torch records their shapes and types, and none of their values."""

from pathlib import Path

from app.core.facts import ArrayFacts
from app.core.uploads.pickle_globals import torchscript_global
from app.core.uploads.pickle_values import Tensor
from app.core.uploads.torch_archive import TorchArchive
from app.core.uploads.zip_archive import ZipArchive

_RECORD = "traced_inputs.pkl"


def read_traced_inputs(path: Path) -> tuple[ArrayFacts, ...] | None:
    """In the order of forward's arguments; None if there is no record, or one of something else than tensors."""
    with path.open("rb") as file:
        archive = TorchArchive(ZipArchive(file))
        if _RECORD not in archive.names:
            return None
        recorded = archive.pickle(_RECORD, torchscript_global).value
    inputs = recorded.get("forward") if isinstance(recorded, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(one, Tensor) for one in inputs):
        return None
    return tuple(ArrayFacts(shape=one.shape, dtype=one.dtype.name) for one in inputs)
