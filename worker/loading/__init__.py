"""A file -> an editable network."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import fx, nn

from app.core.errors import Invalid
from app.core.inputs import Inputs, InputsFrom, tensor_inputs
from app.core.job_files import ModelFile
from worker.data import Dataset
from worker.inputs import random_inputs
from worker.loading.exported_programs import ProgramNetwork, lift_program, load_program
from worker.loading.half_precision import in_float32, widened
from worker.loading.inputs import recorded_inputs, resolve_inputs
from worker.loading.lifted import Lifted, NotEditable
from worker.loading.own_forward import network_with_own_forward
from worker.loading.state_dicts import load_state_dict
from worker.loading.torchscript import lift_archive, load_archive
from worker.loading.tracing import lift_by_tracing
from worker.network import Network
from worker.weights_alone import WeightsAlone

__all__ = ["NotEditable", "Opened", "load_network", "open_model"]

INPUTS_GUESSED = (
    "The model's inputs were guessed from its first layer or its config. If they are wrong, so are its MACs and "
    "latencies: upload it with `inputs`."
)
WEIGHTS_ALONE = (
    "The file holds weights without the network that they belong to: neither their quality nor their speed can be "
    "measured. The model's `facts.blocked_by` say what to send for that."
)
HALF_PRECISION = "The upload holds half precision, for which CPUs have few kernels: it is computed in float32."


@dataclass(frozen=True)
class Opened:
    """A model that was loaded and seen to run: an archive, an exported program, the network of a state dict, or a
    library's own network. Weights alone don't run, and have no inputs.

    `doubtful` says that nothing but a guess tells its inputs, `file` where it was read from. `casts` says that it
    computes in half precision by its own code, and takes float32.
    """

    module: nn.Module
    inputs: Inputs
    inputs_from: InputsFrom | None
    widened: bool
    doubtful: bool
    file: Path | None = None
    casts: bool = False

    def editable(self) -> Network:
        """An archive that can't be rebuilt keeps its own forward. Raises NotEditable."""
        if isinstance(self.module, fx.GraphModule | WeightsAlone):
            return Network(cast(fx.GraphModule, self.module), tensor_inputs(self.inputs), warnings=self.warnings)
        try:
            lifted = self._lifted()
        except NotEditable as reason:
            return self._known(self._with_own_forward(reason))
        whole = replace(self, widened=self.widened or self.casts)
        module = whole._in_float32(lifted.module) if whole.widened else lifted.module
        return whole._known(Network(module, tensor_inputs(self.inputs), warnings=lifted.warnings))

    def _with_own_forward(self, reason: NotEditable) -> Network:
        """Of the archive as it is in the file: torch's converter has rewritten the one that it was tried on."""
        if self.file is None or not isinstance(self.module, torch.jit.ScriptModule):
            raise reason
        archive = load_archive(self.file)
        return network_with_own_forward(archive if self.casts else widened(archive)[0], self.inputs, reason)

    def _known(self, network: Network) -> Network:
        warnings = (*self.warnings, *network.warnings)
        return replace(network, arguments=self.inputs, widened=self.widened, warnings=warnings)

    def _lifted(self) -> Lifted:
        if isinstance(self.module, torch.jit.ScriptModule):
            return lift_archive(self.module, self.inputs)
        if isinstance(self.module, ProgramNetwork):
            return lift_program(self.module, tensor_inputs(self.inputs))
        return lift_by_tracing(self.module, tensor_inputs(self.inputs))

    def _in_float32(self, module: fx.GraphModule) -> fx.GraphModule:
        return in_float32(module, *random_inputs(tensor_inputs(self.inputs), 2, seed=0))

    @property
    def warnings(self) -> tuple[str, ...]:
        if isinstance(self.module, WeightsAlone):
            return (WEIGHTS_ALONE,)
        guessed = (INPUTS_GUESSED,) if self.doubtful else ()
        return (*guessed, HALF_PRECISION) if self.widened else guessed


def open_model(model: ModelFile, folder: Path, dataset: Dataset | None) -> Opened:
    module, is_widened = _read(model, folder)
    if isinstance(module, WeightsAlone):
        return Opened(module, (), None, widened=False, doubtful=False)
    try:
        return _opened(module, model, folder, dataset, is_widened)
    except Invalid:
        if model.format == "torchscript" and is_widened:
            with suppress(Invalid):
                archive = load_archive(folder / model.path)
                return replace(_opened(archive, model, folder, dataset, is_widened=False), casts=True)
        raise


def _opened(module: nn.Module, model: ModelFile, folder: Path, dataset: Dataset | None, is_widened: bool) -> Opened:
    recorded = recorded_inputs(folder / model.path, module) if model.format == "torchscript" else None
    inputs, inputs_from = resolve_inputs(model, module, dataset, recorded)
    doubtful = inputs_from == "guessed" and inputs != recorded
    return Opened(module, inputs, inputs_from, is_widened, doubtful, folder / model.path)


def load_network(model: ModelFile, folder: Path, dataset: Dataset | None) -> Network:
    try:
        network = open_model(model, folder, dataset).editable()
    except NotEditable as error:
        blockers = ", ".join(f"{blocker.operator} ({blocker.where})" for blocker in error.blockers)
        raise Invalid(
            f"The model runs, but it can't be edited because of {blockers}. {error.blockers[0].advice}",
            code="not_editable",
            title="The model can't be edited",
        ) from error
    return replace(network, upload_sha256=model.sha256)


def _read(model: ModelFile, folder: Path) -> tuple[nn.Module, bool]:
    """The module, and whether it was widened from half precision: CPUs have few kernels for that."""
    path = folder / model.path
    if model.format == "torchscript":
        return widened(load_archive(path))
    if model.format in ("safetensors", "state_dict"):
        base = _read(model.base, folder)[0] if model.base else None
        return load_state_dict(path, model.architecture, base), False
    return widened(load_program(path))
