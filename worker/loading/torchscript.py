"""A TorchScript archive -> an editable network, compared with the archive before anyone relies on it."""

import contextlib
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from app.core.errors import Invalid
from app.core.inputs import Inputs, tensor_inputs
from worker.archives.state import ArchiveState
from worker.inputs import random_inputs, with_numbers
from worker.loading.importing import import_torchscript
from worker.loading.importing.converter import convert
from worker.loading.lifted import Lifted, NotEditable, lifted_module, verify
from worker.loading.unsupported import Unsupported

_UNFORESEEN = Unsupported(
    "unknown",
    "",
    "Trace the model with torch.jit.trace instead of scripting it, or upload its state dict with an architecture.",
)


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


def lift_archive(archive: torch.jit.ScriptModule, inputs: Inputs) -> Lifted:
    """Raises NotEditable where the graph holds what can't be edited, Invalid where the result differs."""
    examples = with_numbers(inputs, random_inputs(tensor_inputs(inputs), 2, seed=0))
    try:
        lifted = _imported(archive, examples)
    except Unsupported as problem:
        if _remembers(archive, examples):
            raise NotEditable.because(problem) from problem
        lifted = _converted(archive, examples, problem)
    except Exception:  # a graph that the importer was not made for: its author can do something about it, too
        traceback.print_exc()
        lifted = _converted(archive, examples, _UNFORESEEN)
    verify(lifted.module, archive, inputs)
    return lifted


def _remembers(archive: torch.jit.ScriptModule, examples: tuple[Any, ...]) -> bool:
    """Whether it changes itself when it runs: torch's converter would keep that, and every copy a state of its own."""
    state = ArchiveState(archive)
    with torch.no_grad(), contextlib.suppress(RuntimeError):
        archive(*examples)
    written = state.is_written
    state.restore()
    return written


def _imported(archive: torch.jit.ScriptModule, examples: tuple[Any, ...]) -> Lifted:
    imported = import_torchscript(archive, examples)
    return Lifted(lifted_module(imported.graph_module), tuple(imported.warnings))


def _converted(archive: torch.jit.ScriptModule, examples: tuple[Any, ...], reason: Unsupported) -> Lifted:
    """torch's own converter follows some conditions that the importer can't; what it raises is of no fixed kind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Lifted(lifted_module(convert(archive, examples)), (), converted=True)
    except Exception as error:
        raise NotEditable.because(reason) from error
