"""A TorchScript archive -> an editable network, compared with the archive before anyone relies on it."""

import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from app.core.errors import Invalid
from app.core.facts import Blocker
from app.core.inputs import InputSpec
from worker.inputs import random_inputs
from worker.loading import verification
from worker.loading.importing import import_torchscript
from worker.loading.importing.converter import convert
from worker.loading.lifting import lift
from worker.loading.unsupported import Unsupported
from worker.network import with_flat_outputs

_FREE_SIZES = {1: 16, 2: 16, 5: 11}  # batch size -> size of the other free dimensions
_UNFORESEEN = Unsupported(
    "unknown",
    "",
    "Trace the model with torch.jit.trace instead of scripting it, or upload its state dict with an architecture.",
)


class NotEditable(Exception):
    """The archive runs, but its graph can't be turned into an editable network."""

    def __init__(self, blockers: tuple[Blocker, ...]) -> None:
        super().__init__(", ".join(blocker.operator for blocker in blockers))
        self.blockers = blockers


def load_archive(path: Path) -> torch.jit.ScriptModule:
    """In evaluation mode, on the CPU."""
    try:
        archive: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu"
        )
    except Exception as error:
        raise Invalid(
            "The archive can't be opened by torch. Save it again with torch.jit.save(torch.jit.trace(model.eval(), "
            "example), path), by a torch that is not newer than this service's.",
            code="load_failed",
            title="The model can't be loaded",
        ) from error
    return archive.eval()


def is_half_precision(archive: torch.jit.ScriptModule) -> bool:
    return any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in archive.state_dict().values())


@dataclass(frozen=True)
class Lifted:
    """`converted` says that it took torch's own converter."""

    module: fx.GraphModule
    warnings: tuple[str, ...]
    converted: bool = False


def lift_archive(archive: torch.jit.ScriptModule, inputs: tuple[InputSpec, ...]) -> Lifted:
    """Raises NotEditable where the graph holds what can't be edited, Invalid where the result differs."""
    examples = random_inputs(inputs, 2, seed=0)
    try:
        lifted = _imported(archive, examples)
    except Unsupported as problem:
        lifted = _converted(archive, examples, problem)
    except Exception:  # a graph that the importer was not made for: its author can do something about it, too
        traceback.print_exc()
        lifted = _converted(archive, examples, _UNFORESEEN)
    verify(lifted.module, archive, inputs)
    return lifted


def _imported(archive: torch.jit.ScriptModule, examples: tuple[Tensor, ...]) -> Lifted:
    imported = import_torchscript(archive, examples)
    return Lifted(_prepared(imported.graph_module), tuple(imported.warnings))


def _converted(archive: torch.jit.ScriptModule, examples: tuple[Tensor, ...], reason: Unsupported) -> Lifted:
    """torch's own converter follows some conditions that the importer can't; what it raises is of no fixed kind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Lifted(_prepared(convert(archive, examples)), (), converted=True)
    except Exception as error:
        blocker = Blocker(operator=reason.operator, where=reason.where, advice=reason.advice)
        raise NotEditable((blocker,)) from error


def _prepared(graph_module: fx.GraphModule) -> fx.GraphModule:
    module = with_flat_outputs(lift(graph_module)).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return module


def verify(module: nn.Module, archive: nn.Module, inputs: tuple[InputSpec, ...]) -> None:
    """Compares both at three batch sizes. A batch of one is the most used one, and the one that a condition on sizes is
    most likely to treat apart. Raises `Differs`."""

    def make_inputs(batch_size: int) -> tuple[Tensor, ...]:
        return random_inputs(inputs, batch_size, seed=batch_size, free_size=_FREE_SIZES[batch_size])

    verification.verify(module, archive, make_inputs, tuple(_FREE_SIZES))
