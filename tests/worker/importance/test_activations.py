import torch
from torch import Tensor, nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.activations import OutputStatistics, output_statistics


def statistics(module: nn.Module, x: Tensor) -> dict[str, OutputStatistics]:
    network = network_of(module, tuple(x.shape[1:]))
    return output_statistics(network, run_over(network, x.numpy()))


def check(found: OutputStatistics, units: Tensor) -> None:
    torch.testing.assert_close(found.mean, units.mean(0))
    torch.testing.assert_close(found.mean_absolute, units.abs().mean(0))
    torch.testing.assert_close(found.mean_square, units.square().mean(0))
    torch.testing.assert_close(found.zeros, (units == 0).float().mean(0))


def test_a_convolution_is_read_behind_its_norm_and_activation() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    x = torch.randn(40, 3, 8, 8)
    with torch.no_grad():
        read = layers.eval()[:3](x).movedim(1, -1).flatten(0, -2)
    check(statistics(layers, x)["0"], read)


def test_where_something_else_reads_the_layer_too_it_is_read_itself() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.next = nn.Linear(5, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            return torch.relu(self.next(y)) + y

    x, module = torch.randn(30, 5), Branches()
    found = statistics(module, x)
    with torch.no_grad():
        check(found["layer"], module.layer(x))
        check(found["next"], torch.relu(module.next(module.layer(x))))


def test_recurrent_units_are_the_features_of_the_answers() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(5, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0]

    x, module = torch.randn(10, 6, 5), Recurrent()
    with torch.no_grad():
        check(statistics(module, x)["layer"], module(x).flatten(0, 1))
