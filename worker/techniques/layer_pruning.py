"""Layer pruning: whole residual blocks and repeated layers left out, the least important first."""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from app.core.errors import Invalid, Problem
from app.core.recipes import LayerPruning
from worker.blocks.block import Block
from worker.blocks.finding import find_blocks
from worker.blocks.importance import importance
from worker.blocks.leaving_out import leave_out
from worker.inputs import random_inputs
from worker.layer_selection import selected
from worker.network import Network, tensors_in
from worker.run import Run
from worker.techniques import apply

BLOCKS = "Blocks that can be left out"


@apply.register
def layer_pruning(step: LayerPruning, network: Network, run: Run) -> Network:
    changed = replace(network, module=deepcopy(network.module))
    blocks = _chosen_blocks(step, changed)
    scores = importance(step, changed, blocks, run)
    order = sorted(range(len(blocks)), key=lambda number: scores[number])
    gone = set(order[: step.count_of(len(blocks))])
    for number, block in enumerate(blocks):
        run.detail(
            BLOCKS,
            block=block.name,
            kind=block.kind,
            layers=", ".join(block.layers),
            importance=scores[number],
            left_out=number in gone,
        )
    leave_out(changed.module, [block for number, block in enumerate(blocks) if number in gone])
    _check_answers(changed, network)
    return changed


def _chosen_blocks(step: LayerPruning, network: Network) -> list[Block]:
    """Those of which every layer may go. Raises Invalid where there are too few."""
    found = find_blocks(network.module, random_inputs(network.inputs, 2, seed=0))
    if not found:
        raise Invalid(
            "Nothing can be left out: no sum has a branch of layers beside a path around them, and no layer answers in "
            "the shape of what it reads. Use structured_pruning to make layers narrower.",
            code="nothing_to_leave_out",
            title="No layer can be left out",
        )
    names = set(selected(step, dict.fromkeys(layer for block in found for layer in block.layers)))
    blocks = [block for block in found if names.issuperset(block.layers)]
    if len(blocks) < step.count_of(len(blocks)):
        raise _too_few(
            f"{step.count_of(len(blocks))} blocks should go, and {len(blocks)} of {len(found)} may: "
            f"{', '.join(block.name for block in blocks[:20]) or 'none'}. Lower `count`, or change `only` and "
            "`exclude`."
        )
    return blocks


def _too_few(detail: str) -> Invalid:
    return Invalid(detail, code="nothing_to_leave_out", title="Too few layers can be left out")


def _check_answers(changed: Network, network: Network) -> None:
    """The network has weights left, runs without the blocks, and answers in the same shapes for any batch."""
    if not changed.parameters:
        raise _too_few("Without these blocks the network has no weights at all. Lower `count`, or leave the step out.")
    for batch in (1, 3):
        inputs = random_inputs(network.inputs, batch, seed=batch)
        if _shapes(changed.module, inputs) != _shapes(network.module, inputs):
            raise Problem(
                "Without the least important blocks the network no longer answers in the same shapes. Name some of "
                "their layers in `exclude`, or use structured_pruning.",
                code="layer_pruning_failed",
                title="The layers can't be left out",
            )


def _shapes(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[torch.Size] | None:
    try:
        with torch.inference_mode():
            return [one.shape for one in tensors_in(module(*inputs))]
    except (RuntimeError, IndexError, ValueError, TypeError):
        return None
