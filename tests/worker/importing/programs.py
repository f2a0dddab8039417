"""Tiny networks whose difficulty is their Python: several inputs and answers, branches, loops, writes in place."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class TwoInTwoOut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(3, 6)
        self.first, self.second = nn.Linear(6, 2), nn.Linear(6, 1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.tanh(self.left(left) * self.right(right))
        return self.first(joined), self.second(joined)


class DictOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.fc(x)
        return {"logits": logits, "probabilities": logits.softmax(-1)}


class ControlFlow(nn.Module):
    """Loops over constants, what training alone does, a branch that a size decides, lists."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x - x.mean(0)
        answers: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            x = layer(x - self.mean) if index % 2 == 0 else functional.mish(layer(x))
            answers.append(x)
        if x.size(1) > 4:
            x = x + answers[0]
        return torch.stack(answers, 1).sum(1) + x


class InPlace(nn.Module):
    """Writes through views, which must not be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        half = y[:, :3]
        half.mul_(2.0)
        y[:, 3] = 1.5
        y.add_(x).clamp_(min=-2.0)
        other = y.clone()
        other[:, 1:3] += x[:, :2]
        return torch.relu_(other) + y


class OldLinear(nn.Module):
    """Linear layers as products, the way old versions of torch traced them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(torch.addmm(self.first.bias, x, self.first.weight.t()))
        x = torch.selu(torch.matmul(x, self.second.weight.t()) + self.second.bias)
        return x.matmul(self.third.weight.t())


class WeightNormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 3))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).amax(-1))


class BilinearPooling(nn.Module):
    """einsum, split, chunk, stack and a scaled ELU that has no module."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.out = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.fc(x).chunk(2, dim=-1)
        product = torch.einsum("bi,bj->bij", left, right)
        first, second = torch.split(product, [1, 3], dim=1)
        return self.out(torch.cat([first, second], 1).flatten(1)).abs().sqrt()


class NamedAnswers(NamedTuple):
    logits: Tensor
    probabilities: Tensor


class Named(nn.Module):
    """Modules in a dict, answers in a named tuple, a part that isn't trained."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"first": nn.Linear(6, 6), "second": nn.Linear(6, 6)})
        self.fixed = nn.Linear(6, 6).requires_grad_(False)

    def forward(self, x: Tensor) -> NamedAnswers:
        with torch.no_grad():
            x = self.fixed(x)
        found: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            found[name + "_head"] = head(x)
        return NamedAnswers(found["first_head"], found["second_head"].sigmoid())


class Subclassed(nn.Linear):
    """A layer with a parameter more than torch's has."""

    def __init__(self) -> None:
        super().__init__(6, 3)
        self.scale = nn.Parameter(torch.full((3,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(functional.linear(x, self.weight, self.bias) * self.scale)


class Indexing(nn.Module):
    """Sorting, gathering, scattering, rolling and slicing."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.register_buffer("order", torch.arange(8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        values, indices = y.topk(3, dim=1)
        parts = [torch.gather(y, 1, indices), torch.where(y > 0, y, torch.zeros_like(y)).cumsum(1)]
        parts += [torch.roll(y, 1, 1), y.index_select(1, self.order.flip(0)), y.unfold(1, 2, 2).sum(-1)]
        parts += [torch.zeros_like(y).scatter(1, indices, values), torch.sort(y, dim=1)[0], y[:, ::2], y[:, -1:]]
        parts += [functional.normalize(y, dim=1), torch.norm(y, dim=1, keepdim=True), y.std(1, keepdim=True)]
        return torch.cat(parts, 1)
