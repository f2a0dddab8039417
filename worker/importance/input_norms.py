"""What each weight multiplies while the network answers training examples. Batches are read one after another; only
sums are kept."""

from typing import Any

import torch
from torch import Tensor, fx

from worker.importance.examples import example_batches
from worker.importance.inputs_of_weights import squared_inputs
from worker.network import Network
from worker.run import Run

EXAMPLES = 256
BATCH_SIZE = 16


def input_norms(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """By weight name (such as "conv1.weight", "lstm.weight_hh_l0"): the Euclidean norm, over all examples and
    positions, of what each weight multiplies. ‖X_j‖₂ of Wanda (Sun et al., A Simple and Effective Pruning Approach for
    Large Language Models, 2024). Needs `run.data`.

    Broadcasts against the weight: (1, in) for Linear and recurrent weights, (1 or out, in / groups, *kernel) for a
    convolution, (rows, 1) for an Embedding, whose row counts as often as it was read. A layer called twice counts both.
    Weights whose inputs can't be seen are left out: those inside of a larger torch.nn layer.
    """
    recorder = _Recorder(network.module)
    with torch.no_grad():
        for inputs, _ in example_batches(network, run, examples, BATCH_SIZE):
            recorder.run(*inputs)
    return {name: squares.sqrt() for name, squares in recorder.squares.items()}


class _Recorder(fx.Interpreter):
    """Runs the graph node by node and sums up what goes into each layer."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.squares: dict[str, Tensor] = {}

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for weight, squares in squared_inputs(self.submodules[target], args).items():
            name = f"{target}.{weight}"
            self.squares[name] = self.squares[name] + squares if name in self.squares else squares
        return super().call_module(target, args, kwargs)
