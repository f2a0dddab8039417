"""A program of torch.export -> an editable network that takes any batch."""

import tempfile
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from worker.loading.lifted import Lifted, NotEditable, lifted_module, verify
from worker.loading.program_inputs import constants_of, inputs_of, static_batch_of
from worker.loading.unsupported import Unsupported
from worker.loading.verification import Differs
from worker.network import tensors_in

_EXAMPLES = "/data/sample_inputs/"
_UNFORESEEN = Unsupported(
    "unknown", "", "Upload the model as TorchScript (torch.jit.trace), or its state dict with an architecture."
)


class ProgramNetwork(nn.Module):
    """The program as torch runs it: the tensors that it takes in order, those that it answers in order.

    `inputs` are those that it was exported for. If that was for one batch size, `static_batch`, it is asked so many
    examples at a time: what it answers to an example is held to be the same in any batch.
    """

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        graph_module = program.module(check_guards=False)  # guards are Python text of the file
        assert isinstance(graph_module, fx.GraphModule)
        self.inputs = inputs_of(program, graph_module)
        self.static_batch = static_batch_of(graph_module)
        self._constants = constants_of(graph_module)
        self._in_spec = program.call_spec.in_spec
        # Not as a layer of this one, which would put a prefix before all names.
        self._modules, self._parameters = graph_module._modules, graph_module._parameters
        self._buffers = graph_module._buffers
        self._program = [graph_module]

    @property
    def graph_module(self) -> fx.GraphModule:
        return self._program[0]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.static_batch is None or len(inputs[0]) == self.static_batch:
            return self._answer(inputs)
        count = len(inputs[0])
        answers = [self._answer(part) for part in _parts(inputs, self.static_batch)]
        return tuple(torch.cat(pieces)[:count] for pieces in zip(*answers, strict=True))

    def _answer(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        leaves = list(inputs)
        for position, value in self._constants.items():
            leaves.insert(position, value)
        args, kwargs = pytree.tree_unflatten(leaves, self._in_spec)
        return tensors_in(self.graph_module(*args, **kwargs))


def _parts(inputs: tuple[Tensor, ...], size: int) -> Iterator[tuple[Tensor, ...]]:
    """Batches of one size; the last one is filled up with examples that are there already."""
    count = len(inputs[0])
    for start in range(0, count, size):
        rows = [row % count for row in range(start, start + size)]
        yield tuple(tensor[rows] for tensor in inputs)


def load_program(path: Path) -> ProgramNetwork:
    try:
        with _without_examples(path) as file:
            return ProgramNetwork(torch.export.load(file))
    except Invalid:
        raise
    except Exception as error:
        raise Invalid(
            "The program can't be opened by torch. Write it again with torch.export.save, by a torch that is not newer "
            "than this service's.",
            code="load_failed",
            title="The model can't be loaded",
        ) from error


@contextmanager
def _without_examples(path: Path) -> Iterator[IO[bytes]]:
    """A copy without example inputs: they are a pickle, which torch would load, and nobody needs them."""
    with tempfile.TemporaryFile() as copy:
        with zipfile.ZipFile(path) as original, zipfile.ZipFile(copy, "w") as kept:
            for name in original.namelist():
                kept.writestr(name, b"" if _EXAMPLES in name else original.read(name))
        copy.seek(0)
        yield copy


def lift_program(network: ProgramNetwork, inputs: tuple[InputSpec, ...]) -> Lifted:
    """Raises NotEditable where the graph holds what can't be edited, Invalid where the result differs."""
    try:
        module = lifted_module(network.graph_module)
    except Unsupported as problem:
        raise NotEditable.because(problem) from problem
    except Exception as error:  # a graph that lifting was not made for: its author can do something about it, too
        traceback.print_exc()
        raise NotEditable.because(_UNFORESEEN) from error
    _without_constants(module, network.graph_module)
    if network.static_batch is None:
        verify(module, network, inputs)
        return Lifted(module, ())
    return _freed(module, network, inputs)


def _without_constants(module: fx.GraphModule, graph_module: fx.GraphModule) -> None:
    """What was given as a number or None when the program was exported is no input any more."""
    placeholders = module.graph.find_nodes(op="placeholder")
    for position in constants_of(graph_module):
        module.graph.erase_node(placeholders[position])
    module.recompile()


def _freed(module: fx.GraphModule, network: ProgramNetwork, inputs: tuple[InputSpec, ...]) -> Lifted:
    batch = network.static_batch
    try:
        verify(module, network, inputs)
    except Differs as error:
        raise Invalid(
            f"The program was exported for a batch of {batch}, and that size is fixed in it. Export it with a free "
            "one: "
            'torch.export.export(model, example, dynamic_shapes=({0: torch.export.Dim("batch")},)), and a batch of two '
            "or more in the example.",
            code="batch_is_fixed",
            title="The program takes one batch size only",
        ) from error
    return Lifted(
        module,
        (
            f"The program was exported for a batch of {batch} only. The network that was compressed takes any batch; "
            f"it was compared with the program {batch} examples at a time.",
        ),
    )
