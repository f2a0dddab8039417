"""How much each block matters."""

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cosine_similarity

from app.core.recipes import LayerPruning
from worker.blocks.block import Block
from worker.blocks.leaving_out import without_level
from worker.importance.examples import example_batches
from worker.importance.gradients import loss_gradients
from worker.network import Network
from worker.run import Run

EXAMPLES = 256
BATCH_SIZE = 16


def importance(step: LayerPruning, network: Network, blocks: list[Block], run: Run) -> list[float]:
    """One number for each block, of `network`'s own graph; the least important has the lowest."""
    if step.criterion == "random":
        return torch.rand(len(blocks), generator=torch.Generator().manual_seed(run.seed)).tolist()
    return taylor(network, blocks, run) if step.criterion == "taylor" else change(network, blocks, run)


def taylor(network: Network, blocks: list[Block], run: Run) -> list[float]:
    """The sum of |w g| over a block's weights: how far the loss would move if they went, to first order (Molchanov et
    al., Importance Estimation for Neural Network Pruning, 2019). A tied weight counts in every block that has it."""
    gradients = loss_gradients(network, run).mean
    first_names = {id(parameter): name for name, parameter in network.module.named_parameters()}

    def moved(parameter: Tensor) -> float:
        return float((parameter.detach() * gradients[first_names[id(parameter)]]).abs().sum())

    return [sum(moved(parameter) for parameter in weights_of(network.module, block)) for block in blocks]


def weights_of(module: nn.Module, block: Block) -> list[nn.Parameter]:
    named = [item for layer in block.layers for item in module.get_submodule(layer).named_parameters()]
    end = "" if block.level is None else f"_l{block.level}"
    return [one for name, one in named if not end or name.removesuffix("_reverse").endswith(end)]


def change(network: Network, blocks: list[Block], run: Run) -> list[float]:
    """1 - cos(x, y) of what would take the block's place and what it answers, each example as one vector, on average
    over training examples (Men et al., ShortGPT, 2024)."""
    comparison = _Comparison(network.module, blocks)
    with torch.no_grad():
        for inputs, _ in example_batches(network, run, EXAMPLES, BATCH_SIZE):
            comparison.run(*inputs)
    return [1 - comparison.cosines[number] / comparison.examples for number in range(len(blocks))]


class _Comparison(fx.Interpreter):
    """Sums up cosines while the network runs. Values that a later block compares are held until then."""

    def __init__(self, module: fx.GraphModule, blocks: list[Block]) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.at = {block.exit: [n for n, other in enumerate(blocks) if other.exit is block.exit] for block in blocks}
        self.blocks, self.cosines, self.examples = blocks, [0.0] * len(blocks), 0

    def run(self, *args: Tensor) -> object:  # type: ignore[override]
        self.examples += len(args[0])
        return super().run(*args)

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        for number in self.at.get(n, ()):
            kept, answer = self._compared(self.blocks[number], value)
            self.cosines[number] += float(cosine_similarity(kept.flatten(1), answer.flatten(1)).sum())
        return value

    def _compared(self, block: Block, value: object) -> tuple[Tensor, Tensor]:
        """A level of a recurrent layer is compared by what the layer answers with it and without."""
        if block.level is None:
            assert isinstance(value, Tensor)
            return self.env[block.kept], value
        assert isinstance(value, tuple)
        shorter = without_level(self.fetch_attr(block.layers[0]), block.level)
        given = block.exit.args[0]
        assert isinstance(given, fx.Node)
        outputs = shorter(self.env[given])[0]
        batch = 0 if shorter.batch_first else 1
        return outputs.movedim(batch, 0), value[0].movedim(batch, 0)
