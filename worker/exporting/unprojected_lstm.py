"""An LSTM with a projection as one without, for formats that have no other."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn


class UnprojectedLSTM(nn.LSTM):
    """Projects what the plain LSTM answers.

    A projected state is W h, where h is what the plain LSTM would have answered. Whoever reads it (the next time step
    and the next layer) multiplies it by another matrix; the product of both stands in the plain LSTM, and only the
    answers are left to be projected. A first state is any h that is projected to the given one.
    """

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__(
            layer.input_size,
            layer.hidden_size,
            layer.num_layers,
            bias=layer.bias,
            batch_first=layer.batch_first,
            bidirectional=layer.bidirectional,
            device=layer.weight_ih_l0.device,
            dtype=layer.weight_ih_l0.dtype,
        )
        weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
        self._projections = [
            [weights[f"weight_hr_l{number}{way}"] for way in self._ways()] for number in range(self.num_layers)
        ]
        self._back = [torch.linalg.pinv(weight) for weight in itertools.chain(*self._projections)]
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(self._unprojected(name, weights[name]))

    def _ways(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _unprojected(self, name: str, weight: Tensor) -> Tensor:
        kind, _, place = name.rpartition("_l")
        number, _, way = place.partition("_")
        if kind == "weight_hh":
            return weight @ self._projections[int(number)][way == "reverse"]
        if kind == "weight_ih" and int(number):
            both: Tensor = torch.block_diag(*self._projections[int(number) - 1])  # type: ignore[no-untyped-call]
            return weight @ both
        return weight

    def forward(self, x: Tensor, state: Any = None) -> Any:  # type: ignore[override]  # of tensors alone
        if state is not None:
            state = (_each_by_its_own(state[0], self._back), state[1])
        answers, (hidden, cell) = super().forward(x, state)
        ways = zip(answers.chunk(len(self._ways()), -1), self._projections[-1], strict=True)
        projected = torch.cat([one @ weight.t() for one, weight in ways], -1)
        return projected, (_each_by_its_own(hidden, list(itertools.chain(*self._projections))), cell)


def _each_by_its_own(states: Tensor, weights: list[Tensor]) -> Tensor:
    """The state of each layer and direction, multiplied."""
    return torch.stack([states[number] @ weight.t() for number, weight in enumerate(weights)])
