"""Sums over what each weight of a layer multiplies, for one call of the layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class InputSums:
    """Over `count` examples and positions: sums of the values that the weight multiplies, and of their squares."""

    count: int
    total: Tensor
    squares: Tensor

    def __add__(self, other: "InputSums") -> "InputSums":
        return InputSums(self.count + other.count, self.total + other.total, self.squares + other.squares)


def inputs_of_weights(layer: nn.Module, inputs: tuple[Any, ...]) -> dict[str, InputSums]:
    """By the weight's name in the layer; the sums have a shape that broadcasts against the weight. Empty for layers
    without such weights."""
    if isinstance(layer, nn.Linear):
        return {"weight": _of_features(inputs[0])}
    if isinstance(layer, nn.Embedding):
        return {"weight": _of_rows(inputs[0], layer.num_embeddings)}
    if isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED)):
        return {"weight": _of_kernel(layer, inputs[0])}
    if isinstance(layer, nn.RNNBase):
        return _of_recurrent(layer, *inputs)
    if isinstance(layer, nn.RNNCellBase):
        return _of_cell(inputs[0], inputs[1] if len(inputs) > 1 else None)
    return {}


def _of_features(values: Tensor) -> InputSums:
    rows = values.flatten(0, -2)
    return InputSums(len(rows), rows.sum(0, keepdim=True), rows.square().sum(0, keepdim=True))


def _of_rows(ids: Tensor, rows: int) -> InputSums:
    read = torch.bincount(ids.flatten(), minlength=rows).float().unsqueeze(1)
    return InputSums(ids.numel(), read, read)


def _of_kernel(layer: Any, images: Tensor) -> InputSums:
    """Each weight of a kernel meets other positions at the border, and never those that a stride leaves out: what it
    meets is the derivative of the layer's summed answer by it. One output channel in each group tells for all."""
    groups, transposed = layer.groups, isinstance(layer, _TRANSPOSED)
    weight = layer.weight.detach()[:, :1] if transposed else layer.weight.detach()[:: len(layer.weight) // groups]
    weight = weight.clone().requires_grad_()
    sums = []
    for values in (images, images.square()):
        with torch.enable_grad():
            answer = _called_with(layer, values, weight)
            found = torch.autograd.grad(answer.sum(), weight)[0]
        sums.append(found if transposed or groups == 1 else found.repeat_interleave(len(layer.weight) // groups, 0))
    positions = images if transposed else answer
    return InputSums(positions.numel() // positions.shape[1], *sums)


def _called_with(layer: Any, images: Tensor, weight: Tensor) -> Tensor:
    """The layer's own padding, stride and dilation, with another weight of one output channel a group, and no bias."""
    parameters = {"weight": weight}
    if layer.bias is not None:
        parameters["bias"] = weight.new_zeros(layer.groups)
    answer: Tensor = torch.func.functional_call(layer, parameters, (images,))
    return answer


def _of_recurrent(layer: nn.RNNBase, sequence: Tensor, state: Any = None) -> dict[str, InputSums]:
    """Each of a stack's layers is run by itself, because what passes between them can't be seen from outside."""
    sums: dict[str, InputSums] = {}
    directions = 2 if layer.bidirectional else 1
    for depth in range(layer.num_layers):
        outputs = []
        for direction in range(directions):
            suffix = f"_l{depth}{'_reverse' if direction else ''}"
            answer, hidden = _one_direction(layer, suffix, sequence, _state_of(state, depth * directions + direction))
            sums[f"weight_ih{suffix}"] = _of_features(sequence)
            sums[f"weight_hh{suffix}"] = _of_features(hidden)
            outputs.append(answer)
        sequence = torch.cat(outputs, dim=-1)
    return sums


def _one_direction(layer: nn.RNNBase, suffix: str, sequence: Tensor, state: Any) -> tuple[Tensor, Tensor]:
    """What one layer of the stack answers in one direction, and the hidden states that its recurrent weight meets:
    its answers but the last, behind the first state."""
    backwards, time = suffix.endswith("_reverse"), 1 if layer.batch_first and sequence.ndim == 3 else 0
    single = _single(layer, suffix, sequence.shape[-1])
    answer, _ = single(sequence.flip(time) if backwards else sequence, state)
    before = answer.narrow(time, 0, answer.shape[time] - 1)
    if state is not None:
        first = state[0] if isinstance(state, tuple) else state
        before = torch.cat([first.transpose(0, time) if answer.ndim == 3 else first, before], dim=time)
    return (answer.flip(time) if backwards else answer), before


def _single(layer: nn.RNNBase, suffix: str, width: int) -> nn.RNNBase:
    settings: dict[str, Any] = {"bias": layer.bias, "batch_first": layer.batch_first, "device": "meta"}
    if isinstance(layer, nn.RNN):
        settings["nonlinearity"] = layer.nonlinearity
    if isinstance(layer, nn.LSTM):
        settings["proj_size"] = layer.proj_size
    kind: Callable[..., nn.RNNBase] = type(layer)
    single = kind(width, layer.hidden_size, **settings)
    kept = {name: getattr(layer, name.removesuffix("_l0") + suffix) for name, _ in single.named_parameters()}
    single.load_state_dict(kept, assign=True)
    return single.eval()


def _state_of(state: Any, position: int) -> Any:
    if state is None:
        return None
    if isinstance(state, tuple):
        return tuple(each[position : position + 1] for each in state)
    return state[position : position + 1]


def _of_cell(values: Tensor, state: Any) -> dict[str, InputSums]:
    hidden = state[0] if isinstance(state, tuple) else state
    sums = {"weight_ih": _of_features(values)}
    return sums if hidden is None else sums | {"weight_hh": _of_features(hidden)}
