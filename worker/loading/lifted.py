"""A graph of operators -> an editable network, compared with the upload before anyone relies on it."""

from dataclasses import dataclass

from torch import Tensor, fx, nn

from app.core.facts import Blocker
from app.core.inputs import Inputs, tensor_inputs
from worker.allocator import give_back_freed_memory
from worker.inputs import WithNumbers, random_inputs
from worker.loading import verification
from worker.loading.lifting import lift
from worker.loading.unsupported import Unsupported
from worker.network import with_flat_outputs

FREE_SIZES = {1: 16, 2: 16, 5: 11}  # batch size -> size of the other free dimensions


@dataclass(frozen=True)
class Lifted:
    """`converted` says that it took torch's own converter."""

    module: fx.GraphModule
    warnings: tuple[str, ...]
    converted: bool = False


class NotEditable(Exception):
    """The upload runs, but its graph can't be turned into an editable network."""

    def __init__(self, blockers: tuple[Blocker, ...]) -> None:
        super().__init__(", ".join(blocker.operator for blocker in blockers))
        self.blockers = blockers

    @classmethod
    def because(cls, reason: Unsupported) -> "NotEditable":
        return cls((Blocker(operator=reason.operator, where=reason.where, advice=reason.advice),))


def lifted_module(graph_module: fx.GraphModule) -> fx.GraphModule:
    """In evaluation mode, with every parameter ready to be trained."""
    module = with_flat_outputs(lift(graph_module)).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return module


def verify(module: nn.Module, original: nn.Module, inputs: Inputs) -> None:
    """Compares both at three batch sizes. A batch of one is the most used one, and the one that a condition on sizes is
    most likely to treat apart. Raises `Differs`."""

    def make_inputs(batch_size: int) -> tuple[Tensor, ...]:
        return random_inputs(tensors, batch_size, seed=batch_size, free_size=FREE_SIZES[batch_size])

    give_back_freed_memory()
    tensors = tensor_inputs(inputs)
    whole = original if len(tensors) == len(inputs) else WithNumbers(original, inputs)
    verification.verify(module, whole, make_inputs, tuple(FREE_SIZES))
