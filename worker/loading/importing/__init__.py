"""From a TorchScript archive to a graph of aten operators, with the archive's own parameter paths and free sizes.

interpreter      walks the archive's inlined graph: the way in for a reader
instruction      one step of it, and the table of what each kind does
  modules control structures arithmetic questions tensors dropout fused      the kinds, by family
  operators      every other tensor operator
stored scopes    parameters by path, module paths
converter        torch's own converter, the second try
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from worker.loading.importing import (  # noqa: F401  each registers what it runs
    arithmetic,
    control,
    dropout,
    fused,
    modules,
    questions,
    structures,
    tensors,
)
from worker.loading.importing.interpreter import Interpreter
from worker.loading.unsupported import Unsupported

__all__ = ["Imported", "Unsupported", "import_torchscript"]


@dataclass(frozen=True)
class Imported:
    """`guards` are the decisions that sizes took, `warnings` what the network no longer does."""

    graph_module: fx.GraphModule
    guards: list[str]
    warnings: list[str]


def import_torchscript(
    archive: torch.jit.ScriptModule, example_inputs: Sequence[Any], method: str = "forward"
) -> Imported:
    """The archive's graph on `example_inputs` (a batch of two or more), with copies of the archive's parameters.

    Tensors, also those in tuples, lists and dicts, become inputs of the graph in order; other values are fixed in it.

    Raises `Unsupported` with the operator that stands in the way: control flow that depends on data, state, random
    answers, packed weights, operators outside torch.
    """
    interpreter = Interpreter(archive, method)
    graph_module = interpreter.run(example_inputs)
    return Imported(graph_module, interpreter.guards, interpreter.warnings)
