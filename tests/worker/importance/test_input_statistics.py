"""Each beside one computed from the layer's definition."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.input_statistics import InputStatistics, input_statistics


def statistics(module: nn.Module, x: Tensor) -> dict[str, InputStatistics]:
    network = network_of(module, tuple(x.shape[1:]))
    return input_statistics(network, run_over(network, x.numpy()))


def check(found: InputStatistics, values: Tensor) -> None:
    """`values` of shape (observations, ...): what the weight meets, one row for each time."""
    torch.testing.assert_close(found.mean_square.squeeze(), values.square().mean(dim=0).squeeze())
    torch.testing.assert_close(found.mean.squeeze(), values.mean(dim=0).squeeze())
    torch.testing.assert_close(
        found.deviation.squeeze(), values.std(dim=0, correction=0).squeeze(), atol=1e-4, rtol=1e-3
    )


def test_a_linear_layer_over_sequences() -> None:
    x = torch.randn(20, 6, 5)
    found = statistics(nn.Sequential(nn.Linear(5, 3)), x)["0.weight"]
    assert found.mean_square.shape == (1, 5)
    check(found, x.reshape(-1, 5))


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": 3, "stride": 2, "padding": 1, "bias": False},
        {"kernel_size": (3, 2), "dilation": 2, "groups": 2},
    ],
)
def test_a_convolution_meets_patches(settings: dict) -> None:
    x, layer = torch.randn(20, 4, 9, 9), nn.Conv2d(4, 6, **settings)
    found = statistics(nn.Sequential(layer), x)["0.weight"]
    unfold = nn.Unfold(layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    patches = unfold(x).transpose(1, 2).reshape(-1, 4, *layer.kernel_size)
    check(found, torch.stack([patches[:, :2]] * 3 + [patches[:, 2:]] * 3, 1) if layer.groups == 2 else patches)


def test_a_transposed_convolution_multiplies_each_value_with_the_whole_kernel() -> None:
    x = torch.randn(20, 4, 5)
    found = statistics(nn.Sequential(nn.ConvTranspose1d(4, 6, 3, stride=2)), x)["0.weight"]
    check(found, x.transpose(1, 2).reshape(-1, 4, 1).expand(-1, 4, 3))


def test_an_embeddings_row_counts_as_often_as_it_is_read() -> None:
    ids = np.array([[0, 1, 1], [1, 1, 4]])
    network = network_of(nn.Sequential(nn.Embedding(5, 2)), ("time",), "int64", low=0, high=5)
    found = input_statistics(network, run_over(network, ids))["0.weight"]
    assert found.mean_square.shape == (5, 1)
    check(found, nn.functional.one_hot(torch.from_numpy(ids).flatten(), 5).float())


class FirstAnswer(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_weights_meet_the_sequence_and_the_states_before(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(9, 7, 5), kind(5, 4, num_layers=2, bidirectional=True, batch_first=True)
    found = statistics(FirstAnswer(layer), x)
    below = kind(5, 4, bidirectional=True, batch_first=True)
    below.load_state_dict({name: layer.state_dict()[name] for name in below.state_dict()})
    between, answers = below(x)[0].detach(), layer(x)[0].detach()

    expected = {
        "weight_ih_l0": x,
        "weight_ih_l0_reverse": x,
        "weight_hh_l0": between[:, :-1, :4],
        "weight_hh_l0_reverse": between[:, 1:, 4:],
        "weight_ih_l1": between,
        "weight_hh_l1": answers[:, :-1, :4],
        "weight_hh_l1_reverse": answers[:, 1:, 4:],
    }
    for name, values in expected.items():
        check(found[f"layer.{name}"], values.flatten(0, 1))


def test_a_layer_called_twice_counts_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.relu(self.layer(x)))

    x, module = torch.randn(8, 5), Twice()
    second = torch.relu(module.layer(x)).detach()
    check(statistics(module, x)["layer.weight"], torch.cat([x, second]))
