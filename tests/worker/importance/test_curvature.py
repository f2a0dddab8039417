import numpy as np
import torch
from torch import nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.curvature import loss_curvature

X = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))


def linear(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, outputs))


def found(layers: nn.Module, labels: np.ndarray | None) -> torch.Tensor:
    network = network_of(layers, (3,))
    return loss_curvature(network, run_over(network, X.numpy(), labels), examples=2000)["0.weight"]


def test_of_classes_it_is_the_second_derivative_of_cross_entropy() -> None:
    """∂²L/∂w_ci² = E[p_c (1 - p_c) x_i²] for a linear layer, whatever the labels are."""
    layers, labels = linear(4), np.zeros(2000, dtype=np.int64)
    p = layers(X).softmax(1).detach()
    exact = ((p * (1 - p)).unsqueeze(2) * X.square().unsqueeze(1)).mean(0)
    torch.testing.assert_close(found(layers, labels), exact, rtol=0.25, atol=0)


def test_of_a_yes_or_no_it_is_that_of_binary_cross_entropy() -> None:
    layers, labels = linear(1), np.zeros(2000, dtype=np.int64)
    p = layers(X).sigmoid().detach()
    torch.testing.assert_close(
        found(layers, labels), (p * (1 - p) * X.square()).mean(0, keepdim=True), rtol=0.2, atol=0
    )


def test_of_numbers_it_is_in_proportion_to_the_squared_inputs() -> None:
    for labels in (np.zeros((2000, 2), dtype=np.float32), None):
        curvature = found(linear(2), labels)
        torch.testing.assert_close(curvature, X.square().mean(0).expand(2, 3), rtol=0.2, atol=0)


def test_a_unit_that_nothing_reads_bends_nothing() -> None:
    layers = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    with torch.no_grad():
        layers[2].weight[:, 1] = 0
    assert not found(layers, np.zeros(2000, dtype=np.int64))[1].any()
