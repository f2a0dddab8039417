"""A network that runs by its library's own code -> a TorchScript archive in memory, which the importer can read."""

import warnings
from collections.abc import Sequence

import torch
from torch import nn

from app.core.facts import Blocker
from app.core.inputs import InputSpec
from worker.inputs import random_inputs
from worker.loading.lifted import Lifted, NotEditable, verify
from worker.loading.torchscript import lift_archive
from worker.loading.verification import Differs

_ADVICE = (
    "Its way of computing depends on the sizes or the values of its inputs. Export it with torch.jit.script or "
    "torch.export where it was trained, and upload that."
)


def lift_by_tracing(module: nn.Module, inputs: tuple[InputSpec, ...]) -> Lifted:
    """Compared with `module` itself, since a trace fixes what depends on its example. Raises NotEditable."""
    try:
        lifted = lift_archive(traced(module, inputs), inputs)
        verify(lifted.module, module, inputs)
    except Differs as error:
        raise _not_traceable() from error
    return lifted


def traced(module: nn.Module, inputs: Sequence[InputSpec]) -> torch.jit.ScriptModule:
    """Shares the parameters and their names."""
    examples = random_inputs(inputs, 2, seed=0)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, examples, check_trace=False, strict=False
            )
    except Exception as error:
        raise _not_traceable() from error
    return archive


def _not_traceable() -> NotEditable:
    return NotEditable((Blocker(operator="torch.jit.trace", where="", advice=_ADVICE),))
