import torch
from torch import nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance import curvature
from worker.importance.curvature import loss_curvature


def test_it_is_the_diagonal_where_the_hessian_has_nothing_else() -> None:
    """L = (w x)²/2 for each of four separate weights: ∂²L/∂w² = E[x²], and no two weights interact."""

    class Scales(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight * x

    x = torch.randn(512, 4)
    network = network_of(Scales(), (4,))
    found = loss_curvature(network, run_over(network, x.numpy()))["weight"]
    torch.testing.assert_close(found, x.square().mean(0))


def test_many_draws_come_near_to_the_exact_diagonal(monkeypatch) -> None:
    monkeypatch.setattr(curvature, "DRAWS", 2000)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(16, 3)
    network = network_of(module, (3,))

    def loss(weight: torch.Tensor) -> torch.Tensor:
        answers = torch.func.functional_call(module, {"0.weight": weight}, (x,))
        return answers.square().sum() / (2 * len(x))

    exact = torch.autograd.functional.hessian(loss, module[0].weight.detach())
    diagonal = torch.stack([exact[r, c, r, c] for r in range(4) for c in range(3)]).view(4, 3)
    found = loss_curvature(network, run_over(network, x.numpy()))["0.weight"]
    torch.testing.assert_close(found, diagonal, atol=0.05, rtol=0.1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.queries = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.lstm(x)[0]
        return nn.functional.scaled_dot_product_attention(self.queries(y), y, y).sum(dim=1)


def test_attention_and_recurrent_layers_are_differentiated_twice() -> None:
    network = network_of(Attention(), (5, 6))
    found = loss_curvature(network, run_over(network, torch.randn(20, 5, 6).numpy()))
    assert all(found[name].any() for name in ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "queries.weight"))
