"""A network that runs by its library's own code -> a TorchScript archive in memory, which the importer can read."""

import warnings
from collections.abc import Sequence

import torch
from torch import nn

from app.core.facts import Blocker
from app.core.inputs import InputSpec
from worker.inputs import random_inputs
from worker.loading.torchscript import NotEditable


def traced(module: nn.Module, inputs: Sequence[InputSpec]) -> torch.jit.ScriptModule:
    """Shares the parameters and their names. Raises NotEditable where tracing fails.

    A trace may fix what depends on the example, so whatever is made of it must be compared with `module`.
    """
    examples = random_inputs(inputs, 2, seed=0)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, examples, check_trace=False, strict=False
            )
    except Exception as error:
        advice = "Export it with torch.jit.trace or torch.export where it was trained, and upload that."
        raise NotEditable((Blocker(operator="torch.jit.trace", where="", advice=advice),)) from error
    return archive
