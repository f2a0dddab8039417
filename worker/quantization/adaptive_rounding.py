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
# A Gram matrix of shape [groups, in, in], or two factors of which it is the product.
_Gram = tuple[Tensor, ...]


def round_adaptively(model: onnx.ModelProto, feeds: Iterable[Feed], rounding: Rounding) -> None:
    """Rounds each weight up or down, whichever together changes the layer's output least.

    What matters is the error of W x, so an error in one weight can make up for that in another. The weights become
    multiples of the scale that the quantizer will find again. A layer's examples come in as their Gram matrix
    E[x x'], of one size whatever their number.
    """
    for node in weighted_nodes(model):
        # torch can't unfold what convolutions in 1 and 3 dimensions take.
        if node.node.op_type != "Conv" or node.weight.ndim == 4:
            node.store(_rounded(node, _gram(model, node, feeds), rounding))


def _gram(model: onnx.ModelProto, node: WeightedNode, feeds: Iterable[Feed]) -> _Gram:
    """E[x x'] of what the layer's weights are multiplied with: X and X' / n where there are fewer than half as many
    examples as the layer takes numbers, so that a product with both is less work than one with the matrix."""
    total: Tensor | None = None
    parts, count = list[Tensor](), 0
    for batch in values(model, [node.input], feeds):
        columns = _columns(node, torch.from_numpy(batch[node.input]))
        parts.append(columns)
        count += columns.shape[-1]
        if total is not None or 2 * count > columns.shape[1]:
            together = torch.cat(parts, dim=-1)
            total = together @ together.mT + (0 if total is None else total)
            parts.clear()
    if total is not None:
        return (total / count,)
    together = torch.cat(parts, dim=-1)
    return together, together.mT / count


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


def _rounded(node: WeightedNode, gram: _Gram, rounding: Rounding) -> np.ndarray:
    scales = torch.from_numpy(np.broadcast_to(rounding.scales(node.weight), node.weight.shape).copy())
    exact = torch.from_numpy(node.weight.copy()) / scales
    # The largest weight must stay where it is, for the quantizer to find the same scale.
    stays = exact.abs() >= rounding.largest - 1e-3
    fraction = torch.where(stays, 0.0, exact - exact.floor())
    floor = torch.where(stays, exact.round(), exact.floor())
    up = _chosen(floor, exact, fraction, scales, gram)
    rounded: np.ndarray = (((floor + up).clamp(-rounding.largest, rounding.largest)) * scales).numpy()
    return rounded


def _chosen(floor: Tensor, exact: Tensor, fraction: Tensor, scales: Tensor, gram: _Gram) -> Tensor:
    """1 where a weight is rounded up, 0 where down, as good as to the nearest or better."""
    free = fraction > 0
    nearest = free & (fraction >= 0.5)
    unit = _error((floor + nearest - exact) * scales, gram) or 1.0
    bounded = fraction.clamp(1e-3, 1 - 1e-3)
    choice = torch.log((bounded - _LOW) / (_HIGH - bounded))
    optimizer = torch.optim.Adam([choice], lr=_LEARNING_RATE, fused=True)
    for step in range(_STEPS):
        sigmoid = torch.sigmoid(choice)
        soft = (sigmoid * (_HIGH - _LOW) + _LOW).clamp(0, 1) * free
        by_error = 2 / unit * _times((floor + soft - exact) * scales, gram) * scales
        # Clamped choices, and weights that are whole numbers already, don't move.
        moves = (soft > 0) & (soft < 1)
        slope = (_HIGH - _LOW) * sigmoid * (1 - sigmoid)
        choice.grad = (by_error + _towards_a_decision(soft, step / _STEPS)) * slope * moves
        optimizer.step()
    decided = free & (choice >= 0)
    better = _error((floor + decided - exact) * scales, gram) < unit
    return (decided if better else nearest).float()


def _towards_a_decision(soft: Tensor, progress: float) -> Tensor:
    """The gradient of the paper's regulariser, 1 - |2h - 1|^power: it draws every choice to 0 or 1 as time goes on."""
    if progress < _REGULARISED_FROM:
        return torch.zeros(())
    done = (progress - _REGULARISED_FROM) / (1 - _REGULARISED_FROM)
    power = _POWERS[0] + (_POWERS[1] - _POWERS[0]) * done
    undecided = 2 * soft - 1
    return -2 * _STRENGTH * power * undecided.sign() * undecided.abs().pow(power - 1)


def _error(difference: Tensor, gram: _Gram) -> float:
    """E |difference x|^2"""
    return float((_times(difference, gram) * difference).sum())


def _times(difference: Tensor, gram: _Gram) -> Tensor:
    """Each group of rows by its Gram matrix: half of the error's gradient. By hand it takes one product of matrices in
    place of the three of automatic differentiation."""
    rows = difference.reshape(gram[0].shape[0], -1, gram[0].shape[1])
    for factor in gram:
        rows = rows @ factor
    return rows.reshape(difference.shape)
