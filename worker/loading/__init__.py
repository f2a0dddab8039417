"""A file -> an editable network."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn

from app.core.errors import Invalid
from app.core.inputs import InputsFrom, InputSpec
from app.core.tasks import ModelFile
from worker.data import Dataset
from worker.loading.inputs import resolve_inputs
from worker.loading.state_dicts import load_state_dict
from worker.loading.torchscript import NotEditable, lift_archive, load_archive
from worker.network import Network

__all__ = ["NotEditable", "Opened", "load_network", "open_model"]


@dataclass(frozen=True)
class Opened:
    """A model that was loaded and seen to run, as torch makes it: an archive, or the network of a state dict."""

    module: nn.Module
    inputs: tuple[InputSpec, ...]
    inputs_from: InputsFrom

    def editable(self) -> Network:
        """Raises NotEditable."""
        if isinstance(self.module, fx.GraphModule):
            return Network(self.module, self.inputs)
        assert isinstance(self.module, torch.jit.ScriptModule)
        lifted = lift_archive(self.module, self.inputs)
        return Network(lifted.module, self.inputs, warnings=lifted.warnings)


def open_model(model: ModelFile, folder: Path, dataset: Dataset | None) -> Opened:
    module = _read(model, folder / model.path)
    inputs, inputs_from = resolve_inputs(model, module, dataset)
    return Opened(module, inputs, inputs_from)


def load_network(model: ModelFile, folder: Path, dataset: Dataset | None) -> Network:
    try:
        return open_model(model, folder, dataset).editable()
    except NotEditable as error:
        blockers = ", ".join(f"{blocker.operator} ({blocker.where})" for blocker in error.blockers)
        raise Invalid(
            f"The model runs, but it can't be edited because of {blockers}. {error.blockers[0].advice}",
            code="not_editable",
            title="The model can't be edited",
        ) from error


def _read(model: ModelFile, path: Path) -> nn.Module:
    if model.format == "torchscript":
        return load_archive(path)
    if model.format in ("safetensors", "state_dict"):
        return load_state_dict(path, model.architecture)
    raise Invalid(
        f"Files of the format {model.format} can't be compressed yet. Upload TorchScript or a state dict.",
        code="format_unsupported",
        title="This kind of file can't be loaded",
    )
