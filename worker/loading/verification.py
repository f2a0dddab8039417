"""A network that was rebuilt must answer as the upload does: otherwise something else would be compressed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from app.core.errors import Invalid
from worker.archives.part import Part

TOLERANCE = 1e-4  # of an answer's largest magnitude: what another order of summing may change, and no more
INSTEAD = "Upload its state dict with an architecture instead."


class Differs(Invalid):
    default_code = "lift_differs"
    default_title = "The model can't be rebuilt faithfully"


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of all answers, and the largest magnitude of the upload's."""

    largest: float
    scale: float

    @property
    def is_small(self) -> bool:
        return self.largest <= TOLERANCE * max(1.0, self.scale)


def verify(
    network: nn.Module,
    archive: nn.Module,
    make_inputs: Callable[[int], tuple[Tensor, ...]],
    batches: Sequence[int] = (2, 5),
) -> Difference:
    """Compares both on `make_inputs(batch)` for each batch size; answers the largest difference.

    Raises `Differs` when one of them doesn't run, or when the answers differ by more than `TOLERANCE`: then the
    detail names the first layer that answers differently for the same input.
    """
    return max(
        (_compared(network, archive, make_inputs(batch), batch) for batch in batches), key=lambda one: one.largest
    )


def _compared(network: nn.Module, archive: nn.Module, inputs: tuple[Tensor, ...], batch: int) -> Difference:
    expected = _answers(
        archive, inputs, f"The uploaded file doesn't run on a batch of {batch}. Trace it so that it does."
    )
    answers = _answers(network, inputs, f"The rebuilt network doesn't run on a batch of {batch}. {INSTEAD}")
    difference = difference_between(answers, expected)
    if difference is not None and difference.is_small:
        return difference
    _refuse_random(archive, inputs, expected)
    raise Differs(
        f"For a batch of {batch}, the rebuilt network's answer {_described(difference)}, "
        f"first in {first_different_layer(network, archive, inputs) or 'what stands between its layers'}. {INSTEAD}"
    )


def verify_calls(part: Part, theirs: nn.Module) -> None:
    """Compares a part's module with the archive's own for each of its calls. Raises `Differs`."""
    for batch, arguments in part.calls.items():
        with torch.no_grad():
            expected = _tensors(getattr(theirs, part.method)(*_copied(arguments)))
        answers = _answers(part.module, part.examples(batch), f"It doesn't run on a batch of {batch}.")
        difference = difference_between(answers, expected)
        if difference is None or not difference.is_small:
            raise Differs(f"For a batch of {batch} `{part.path}` {_described(difference)}.")


def _copied(arguments: Any) -> Any:
    return tree_map_only(Tensor, Tensor.clone, arguments)


def difference_between(answers: Sequence[Tensor], expected: Sequence[Tensor]) -> Difference | None:
    """None if the answers can't be compared: another number of tensors, or other shapes."""
    if [one.shape for one in answers] != [one.shape for one in expected]:
        return None
    pairs = [(one.double(), wanted.double()) for one, wanted in zip(answers, expected, strict=True) if one.numel()]
    gaps = [float(torch.where(_same(one, wanted), 0.0, (one - wanted).abs()).max()) for one, wanted in pairs]
    scales = [float(wanted[wanted.isfinite()].abs().max()) for _, wanted in pairs if wanted.isfinite().any()]
    return Difference(max(gaps, default=0.0), max(scales, default=0.0))


def _same(one: Tensor, wanted: Tensor) -> Tensor:
    """Equal, infinities included, or both not a number."""
    return (one == wanted) | (one.isnan() & wanted.isnan())


def first_different_layer(network: nn.Module, archive: nn.Module, inputs: tuple[Tensor, ...]) -> str | None:
    """The first layer that answers another thing than the archive's module of the same path does to the same input."""
    theirs = dict(archive.named_modules())
    found: list[str] = []
    layers = [(path, layer) for path, layer in network.named_modules() if path in theirs and _is_layer(layer)]
    hooks = [layer.register_forward_hook(_comparing(path, theirs[path], found)) for path, layer in layers]
    try:
        _answers(network, inputs, INSTEAD)
    finally:
        for hook in hooks:
            hook.remove()
    return f"`{found[0]}`" if found else None


def _is_layer(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) and any(True for _ in module.parameters())


def _comparing(path: str, theirs: nn.Module, found: list[str]) -> Callable[[nn.Module, Any, Any], None]:
    def compare(_layer: nn.Module, inputs: Any, answer: Any) -> None:
        try:
            wanted = theirs(*inputs)
        except (RuntimeError, AttributeError):
            return  # the archive kept this module for its parameters only
        difference = difference_between(_tensors(answer), _tensors(wanted))
        if difference is None or not difference.is_small:
            found.append(path)

    return compare


def _refuse_random(archive: nn.Module, inputs: tuple[Tensor, ...], expected: Sequence[Tensor]) -> None:
    again = difference_between(_answers(archive, inputs, INSTEAD), expected)
    if again is None or not again.is_small:
        raise Differs(
            "The uploaded file answers the same input differently each time. Save it in evaluation mode, without "
            "random numbers in its forward."
        )


def _answers(module: nn.Module, inputs: tuple[Tensor, ...], problem: str) -> list[Tensor]:
    try:
        with torch.no_grad():
            return _tensors(module(*(one.clone() for one in inputs)))
    except (RuntimeError, IndexError, ValueError, TypeError, AssertionError) as error:
        raise Differs(problem) from error


def _tensors(answer: Any) -> list[Tensor]:
    return [one for one in tree_leaves(answer) if isinstance(one, Tensor)]


def _described(difference: Difference | None) -> str:
    if difference is None:
        return "has other shapes than the uploaded file's"
    return f"differs from the uploaded file's by {difference.largest:.2g}"
