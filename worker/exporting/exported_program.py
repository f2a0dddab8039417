"""A program of torch.export (`.pt2`): what torch keeps when TorchScript goes."""

import warnings
from pathlib import Path

import torch
from torch import fx
from torch.export import Dim, ExportedProgram

from app.core.inputs import InputSpec
from worker.inputs import random_inputs
from worker.network import Network

# Where and by which passes a node was made, with paths and addresses of the machine that writes the file.
_PROVENANCE = ("stack_trace", "from_node")


def export_exported_program(network: Network, path: Path) -> tuple[Path, ...]:
    """Every free dimension of the inputs stays free. The file holds no example inputs, so no pickle either."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes: the file is checked on other batches than the traced one
        program = torch.export.export(
            network.module, random_inputs(network.inputs, 2, seed=0), dynamic_shapes=_free_dimensions(network.inputs)
        )
        _without_provenance(program)
        torch.export.save(program, path)
    return ()


def _free_dimensions(inputs: tuple[InputSpec, ...]) -> tuple[dict[int, Dim], ...]:
    named: dict[str, Dim] = {}
    for spec in inputs:
        for name in spec.shape:
            if isinstance(name, str) and name not in named:
                smallest, largest = spec.ranges.get(name, (None, None))
                named[name] = Dim(name, min=smallest, max=largest)
    return tuple({axis: named[size] for axis, size in enumerate(s.shape) if isinstance(size, str)} for s in inputs)


def _without_provenance(program: ExportedProgram) -> None:
    program.example_inputs = None
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            for key in _PROVENANCE:
                node.meta.pop(key, None)
