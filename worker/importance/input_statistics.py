"""What each weight multiplies while the network answers training examples. Batches are read one after another; only
sums are kept."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from worker.importance.examples import example_batches
from worker.importance.inputs_of_weights import InputSums, inputs_of_weights
from worker.network import Network
from worker.run import Run

EXAMPLES = 256
BATCH_SIZE = 16


@dataclass(frozen=True)
class InputStatistics:
    """Of what a weight multiplies, over all examples and positions. Tensors broadcast against the weight.

    `mean_square` is E[x²]. Its root is ‖X_j‖₂ of Wanda (Sun et al., A Simple and Effective Pruning Approach for Large
    Language Models, 2024) but for the root of the number of positions, which is the same for the whole layer.
    """

    mean: Tensor
    mean_square: Tensor
    deviation: Tensor


def input_statistics(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, InputStatistics]:
    """By weight name, such as "conv1.weight" or "lstm.weight_hh_l0". Needs `run.data`.

    Shapes are (1, in) for Linear and recurrent weights, (1 or out, in / groups, *kernel) for a convolution, (rows, 1)
    for an Embedding, whose row is multiplied by one where it is read and by zero elsewhere. A layer called twice counts
    both. Weights whose inputs can't be seen are left out: those inside of a larger torch.nn layer.
    """
    recorder = _Recorder(network.module)
    with torch.no_grad():
        for inputs, _ in example_batches(network, run, examples, BATCH_SIZE):
            recorder.run(*inputs)
    return {name: _statistics(sums) for name, sums in recorder.sums.items()}


def _statistics(sums: InputSums) -> InputStatistics:
    mean, mean_square = sums.total / sums.count, sums.squares / sums.count
    return InputStatistics(mean, mean_square, deviation=(mean_square - mean.square()).clamp_min(0).sqrt())


class _Recorder(fx.Interpreter):
    """Runs the graph node by node and sums up what goes into each layer."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.sums: dict[str, InputSums] = {}

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for weight, sums in inputs_of_weights(self.submodules[target], args).items():
            name = f"{target}.{weight}"
            self.sums[name] = self.sums[name] + sums if name in self.sums else sums
        return super().call_module(target, args, kwargs)
