"""AdaRound: Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, 2020."""

from collections.abc import Iterable

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from worker.importance.gram_matrices import patches
from worker.quantization.activations import Feed, values
from worker.quantization.rounding import Rounding
from worker.quantization.weighted_nodes import WeightedNode, integers, weighted_nodes

_STEPS = 150
_LEARNING_RATE = 0.04
# The paper's stretched sigmoid reaches 0 and 1; the regulariser's power falls from 20 to 2.
_LOW, _HIGH = -0.1, 1.1
_POWERS = (20.0, 2.0)
_REGULARISED_FROM = 0.2
_STRENGTH = 0.01


def round_adaptively(model: onnx.ModelProto, feeds: Iterable[Feed], rounding: Rounding) -> None:
    """Rounds each weight up or down, whichever together changes the layer's output least.

    What matters is the error of W x, so an error in one weight can make up for that in another. The weights become
    multiples of the scale that the quantizer will find again. A layer's examples come in as their Gram matrix
    E[x x'], of one size whatever their number.
    """
    for node in weighted_nodes(model):
        gram = _gram(model, node, feeds)
        if gram is not None:
            node.store(_rounded(node, gram, rounding))


def _gram(model: onnx.ModelProto, node: WeightedNode, feeds: Iterable[Feed]) -> Tensor | None:
    """E[x x'] of what the layer's weights are multiplied with: [groups, in, in]. None for convolutions in 1 and 3
    dimensions, which torch can't unfold."""
    if node.node.op_type == "Conv" and node.weight.ndim != 4:
        return None
    total, count = torch.zeros(()), 0
    for batch in values(model, [node.input], feeds):
        columns = _columns(node, torch.from_numpy(batch[node.input]))
        total = total + columns @ columns.mT
        count += columns.shape[-1]
    return total / count


def _columns(node: WeightedNode, inputs: Tensor) -> Tensor:
    """[groups, in, positions]"""
    if node.node.op_type != "Conv":
        return inputs.reshape(-1, inputs.shape[-1]).T.unsqueeze(0)
    top, left, bottom, right = integers(node.node, "pads", (0, 0, 0, 0))
    return patches(
        functional.pad(inputs, (left, right, top, bottom)),
        node.weight.shape[2:],
        dilation=integers(node.node, "dilations", (1, 1)),
        stride=integers(node.node, "strides", (1, 1)),
        groups=node.groups,
    )


def _rounded(node: WeightedNode, gram: Tensor, rounding: Rounding) -> np.ndarray:
    scales = torch.from_numpy(np.broadcast_to(rounding.scales(node.weight), node.weight.shape).copy())
    exact = torch.from_numpy(node.weight.copy()) / scales
    # The largest weight must stay where it is, for the quantizer to find the same scale.
    stays = exact.abs() >= rounding.largest - 1e-3
    fraction = torch.where(stays, 0.0, exact - exact.floor())
    floor = torch.where(stays, exact.round(), exact.floor())
    up = _chosen(floor, exact, fraction, scales, gram)
    rounded: np.ndarray = (((floor + up).clamp(-rounding.largest, rounding.largest)) * scales).numpy()
    return rounded


def _chosen(floor: Tensor, exact: Tensor, fraction: Tensor, scales: Tensor, gram: Tensor) -> Tensor:
    """1 where a weight is rounded up, 0 where down, as good as to the nearest or better."""
    free = fraction > 0
    start = torch.log((fraction.clamp(1e-3, 1 - 1e-3) - _LOW) / (_HIGH - fraction.clamp(1e-3, 1 - 1e-3)))
    choice = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([choice], lr=_LEARNING_RATE)
    nearest = free & (fraction >= 0.5)
    unit = _error((floor + nearest - exact) * scales, gram).item() or 1.0
    for step in range(_STEPS):
        soft = torch.where(free, (torch.sigmoid(choice) * (_HIGH - _LOW) + _LOW).clamp(0, 1), 0.0)
        error = _error((floor + soft - exact) * scales, gram) / unit
        optimizer.zero_grad()
        loss: Tensor = error + _undecided(soft, step / _STEPS)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    decided = free & (choice.detach() >= 0)
    better = _error((floor + decided - exact) * scales, gram).item() < unit
    return (decided if better else nearest).float()


def _undecided(soft: Tensor, progress: float) -> Tensor:
    """The paper's regulariser, which draws every choice to 0 or 1 as time goes on."""
    if progress < _REGULARISED_FROM:
        return torch.zeros(())
    done = (progress - _REGULARISED_FROM) / (1 - _REGULARISED_FROM)
    power = _POWERS[0] + (_POWERS[1] - _POWERS[0]) * done
    return _STRENGTH * (1 - (2 * soft - 1).abs().pow(power)).sum()


def _error(difference: Tensor, gram: Tensor) -> Tensor:
    """E |difference x|^2"""
    rows = difference.reshape(gram.shape[0], -1, gram.shape[1])
    return ((rows @ gram) * rows).sum()
