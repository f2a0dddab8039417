"""An archive that can't be rebuilt as a whole -> a network that keeps its forward, with parts that can be edited."""

from typing import cast

import torch
from torch import Tensor, fx

from app.core.inputs import Inputs, tensor_inputs
from worker.archives.kept import KeptArchive
from worker.archives.module import ArchiveModule
from worker.inputs import random_inputs
from worker.loading.lifted import NotEditable
from worker.loading.parts import Found, find_parts
from worker.network import Network

KEEPS_ITS_FORWARD = (
    "The archive can't be rebuilt as a whole (the model's `facts.blocked_by` say why): its own forward is kept, and "
    "the result is TorchScript."
)
REMEMBERS = (
    "The archive changes itself when it runs, so that an answer depends on the calls before. Every batch that it is "
    "measured with starts from the state that it was uploaded in."
)


def network_with_own_forward(archive: torch.jit.ScriptModule, inputs: Inputs, reason: NotEditable) -> Network:
    """Raises `reason` where the archive's answers are random: nothing could be compared with them."""
    kept = KeptArchive(archive, inputs)
    found = find_parts(archive, inputs)
    if not _answers_alike(kept):
        raise reason
    module = ArchiveModule(kept, found.parts)
    return Network(
        cast(fx.GraphModule, module),
        tensor_inputs(inputs),
        arguments=inputs,
        warnings=_warnings(kept, found),
        blocked_by=found.blockers or reason.blockers,
        looked_at=tuple(found.facts),
    )


def _answers_alike(kept: KeptArchive) -> bool:
    examples = random_inputs(tensor_inputs(kept.inputs), 2, seed=0)
    first, second = (_tensors(kept, examples) for _ in range(2))
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def _tensors(kept: KeptArchive, examples: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        answers = kept.answer(examples)
    return [one.clone() for one in torch.utils._pytree.tree_leaves(answers) if isinstance(one, Tensor)]


def _warnings(kept: KeptArchive, found: Found) -> tuple[str, ...]:
    left = tuple(f"`{one.name}` is changed in its values only: {one.reason}." for one in found.facts if one.reason)
    return (KEEPS_ITS_FORWARD, *((REMEMBERS,) if kept.state.is_written else ()), *left)
