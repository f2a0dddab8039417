"""Each beside one computed from the layer's definition."""

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.gram_matrices import gram_matrices


def grams(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    network = network_of(module, tuple(x.shape[1:]))
    return gram_matrices(network, run_over(network, x.numpy()))


def test_a_linear_layer_over_sequences() -> None:
    x = torch.randn(20, 6, 5)
    rows = x.reshape(-1, 5)
    torch.testing.assert_close(grams(nn.Sequential(nn.Linear(5, 3)), x)["0.weight"], (rows.T @ rows / 120)[None])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False), (4, 9, 8)),
        (nn.Conv2d(4, 6, (3, 1), padding="same", dilation=2, padding_mode="circular", bias=False), (4, 9, 8)),
        (nn.Conv1d(4, 6, 3, stride=2, padding=2, bias=False), (4, 11)),
    ],
)
def test_the_output_that_a_convolution_would_have_follows_from_it(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """The mean of its squares is w G w for each channel."""
    x = torch.randn(20, *shape)
    (gram,) = grams(nn.Sequential(layer), x).values()
    rows = layer.weight.detach().reshape(len(gram), -1, gram.shape[-1])
    with torch.no_grad():
        expected = layer(x).transpose(0, 1).flatten(1).square().mean(1)
    torch.testing.assert_close(((rows @ gram) * rows).sum(2).flatten(), expected, rtol=1e-4, atol=1e-5)


def test_layers_whose_inputs_are_not_seen_are_left_out() -> None:
    assert grams(nn.Sequential(nn.LSTM(5, 3)), torch.randn(20, 6, 5)) == {}
