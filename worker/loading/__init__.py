"""A file -> an editable network."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn

from app.core.errors import Invalid
from app.core.inputs import InputsFrom, InputSpec
from app.core.tasks import ModelFile
from worker.data import Dataset
from worker.loading.exported_programs import ProgramNetwork, lift_program, load_program
from worker.loading.inputs import recorded_inputs, resolve_inputs
from worker.loading.lifted import Lifted, NotEditable
from worker.loading.state_dicts import load_state_dict
from worker.loading.torchscript import lift_archive, load_archive
from worker.loading.tracing import lift_by_tracing
from worker.network import Network

__all__ = ["NotEditable", "Opened", "load_network", "open_model"]

INPUTS_GUESSED = (
    "The model's inputs were guessed from its first layer or its config. If they are wrong, so are its MACs and "
    "latencies: upload it with `inputs`."
)
HALF_PRECISION = "The upload holds half precision, for which CPUs have few kernels: it is computed in float32."


@dataclass(frozen=True)
class Opened:
    """A model that was loaded and seen to run: an archive, an exported program, the network of a state dict, or a
    library's own network.

    `doubtful` says that nothing but a guess tells its inputs.
    """

    module: nn.Module
    inputs: tuple[InputSpec, ...]
    inputs_from: InputsFrom
    widened: bool
    doubtful: bool

    def editable(self) -> Network:
        """Raises NotEditable."""
        if isinstance(self.module, fx.GraphModule):
            return Network(self.module, self.inputs, warnings=self.warnings)
        lifted = self._lifted()
        warnings = (*self.warnings, *lifted.warnings)
        return Network(lifted.module, self.inputs, widened=self.widened, warnings=warnings)

    def _lifted(self) -> Lifted:
        if isinstance(self.module, torch.jit.ScriptModule):
            return lift_archive(self.module, self.inputs)
        if isinstance(self.module, ProgramNetwork):
            return lift_program(self.module, self.inputs)
        return lift_by_tracing(self.module, self.inputs)

    @property
    def warnings(self) -> tuple[str, ...]:
        guessed = (INPUTS_GUESSED,) if self.doubtful else ()
        return (*guessed, HALF_PRECISION) if self.widened else guessed


def open_model(model: ModelFile, folder: Path, dataset: Dataset | None) -> Opened:
    module, widened = _read(model, folder)
    recorded = recorded_inputs(folder / model.path, module) if model.format == "torchscript" else None
    inputs, inputs_from = resolve_inputs(model, module, dataset, recorded)
    doubtful = inputs_from == "guessed" and inputs != recorded
    return Opened(module, inputs, inputs_from, widened, doubtful)


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


def _read(model: ModelFile, folder: Path) -> tuple[nn.Module, bool]:
    """The module, and whether it was widened from half precision: CPUs have few kernels for that."""
    path = folder / model.path
    if model.format == "torchscript":
        return _widened(load_archive(path))
    if model.format in ("safetensors", "state_dict"):
        base = _read(model.base, folder)[0] if model.base else None
        return load_state_dict(path, model.architecture, base), False
    return _widened(load_program(path))


def _widened(module: nn.Module) -> tuple[nn.Module, bool]:
    is_half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in module.state_dict().values())
    return (module.float() if is_half else module), is_half
