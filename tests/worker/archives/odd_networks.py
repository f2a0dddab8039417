"""Networks whose forward can't be rebuilt: state, branches and loops that data decide. All take (batch, 6)."""

import torch
from torch import Tensor, nn

WIDTH = 32


def body() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 6))


class Remembering(nn.Module):
    """State in an attribute: an answer depends on the calls before."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()
        self.last = torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if len(self.last) == len(y):
            y = y + self.last
        self.last = y
        return y


class Counting(nn.Module):
    """State in a buffer that is written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(x.mean(0))
        return self.body(x) + self.seen


class Halving(nn.Module):
    """A loop that data end."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        while bool(y.abs().max() > 0.1):
            y = y / 2
        return y


class Waiting(nn.Module):
    """A loop that random inputs never enter."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        while bool(y.abs().max() > 1000):
            y = y / 2
        return y


class Choosing(nn.Module):
    """A branch that data choose; random inputs never take the second."""

    def __init__(self) -> None:
        super().__init__()
        self.usual = body()
        self.rare = body()

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.abs().max() < 1000):
            return self.usual(x)
        return self.rare(x)


class Listing(nn.Module):
    """A loop whose length data decide, and that gathers a list."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        answers = [self.body(x)]
        for _ in range(int(x[0].abs().sum().clamp(1, 3))):
            answers.append(answers[-1] * 0.5)
        return answers[0], answers[:1]


class Grouped(nn.Module):
    """Its part's code names a number of groups, which channels can't be taken from."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1, groups=8), nn.Conv1d(8, 1, 1), nn.Flatten()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x.unsqueeze(1))
        return y if bool(y.sum() > 1e9) else y + 1


class Repeating(nn.Module):
    """Recurrent: scripted, it keeps its parameters a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, WIDTH, batch_first=True)
        self.fc = nn.Linear(WIDTH, 6)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x.unsqueeze(1))
        y = self.fc(outputs[:, -1])
        return y if bool(y.sum() > 1e9) else y + 1


class Branching(nn.Module):
    """A layer of its own kind, with a branch in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(6, 16).normal_())
        self.table = nn.Parameter(torch.empty(16, 6).normal_())

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(x @ self.weight) @ self.table
        if bool(y.sum() > 1e9):
            y = y + 1
        return y


class Opaque(nn.Module):
    """No submodule of it can be rebuilt."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Branching(), Branching()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Scaled(nn.Module):
    """A plain number among its arguments, and a branch that it decides."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: Tensor, rate: int, doubled: bool = False) -> Tensor:
        if rate == 16000:
            return self.body(x)
        return self.body(x) * 2 if doubled else x


ODD = (Remembering, Counting, Halving, Waiting, Choosing, Listing, Grouped, Repeating, Opaque)
