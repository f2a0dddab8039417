"""A network whose forward takes many optional inputs by name, as one that takes the wanted ones in order."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from app.core.errors import Invalid
from app.core.inputs import InputSpec

Guess = tuple[InputSpec, ...]


class ByName(nn.Module):
    """`model`'s own layers under their own names; answers the tensors of its answer, in order.

    `argument_names` are all that it takes, the most important one first. `guesses` are inputs that it could take, the
    likeliest first. `take` says which ones it is called with.
    """

    def __init__(
        self, model: nn.Module, argument_names: Sequence[str], guesses: Sequence[tuple[InputSpec, ...]]
    ) -> None:
        super().__init__()
        self._modules, self._parameters, self._buffers = model._modules, model._parameters, model._buffers
        self._non_persistent_buffers_set = model._non_persistent_buffers_set
        self._call = model.__call__  # not the model itself: as a layer of this one it would put a prefix before names
        self.argument_names = tuple(argument_names)
        self.guesses = tuple(guesses)
        self._taken = self.argument_names[:1]

    def take(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.argument_names]
        if unknown:
            raise Invalid(
                f"The network has no input {', '.join(unknown)}. It takes {', '.join(self.argument_names)}: name those "
                "that you have in `inputs`, or the arrays of the data set so.",
                code="forward_failed",
                title="The network can't be run",
            )
        self._taken = tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        answer = self._call(**dict(zip(self._taken, inputs, strict=True)))
        return tuple(leaf for leaf in tree_leaves(answer) if isinstance(leaf, Tensor))
