"""Small networks with fixed random weights, one of each kind, and one that has all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLASSES = 4


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.fc = nn.Linear(32 * 4 * 4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.conv1(images))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc(torch.flatten(x, 1))


class ResidualBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class ResidualNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(3, 16, 1), ResidualBlock(16, 32, 2))
        self.head = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(images).mean(dim=[2, 3]))


class RecurrentNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 48, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, CLASSES))

    def forward(self, series: Tensor) -> Tensor:
        outputs, _ = self.lstm(series)
        return self.head(outputs.mean(dim=1))


class TransformerNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 64)
        self.position = nn.Parameter(torch.randn(12, 64) * 0.1)
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(64, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc(self.encoder(self.embedding(ids) + self.position).mean(dim=1))


class EveryKindNet(nn.Module):
    """Convolutions with norms, a residual sum, an LSTM, attention and linear layers, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ResidualBlock(3, 32, 2)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        steps = self.stem(images).mean(dim=3).transpose(1, 2)
        outputs, _ = self.lstm(steps)
        return self.head(self.attention(outputs).mean(dim=1))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES))


@dataclass(frozen=True)
class Example:
    """A kind of network with the shape of one example."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    vocabulary: int | None = None

    def network(self) -> nn.Module:
        """Encoders start with equal layers, which an exporter would store once: trained ones never are."""
        torch.manual_seed(0)
        network = self.make()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        return network.eval()

    def inputs(self, count: int, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        if self.vocabulary is None:
            return torch.randn(count, *self.shape, generator=generator)
        return torch.randint(0, self.vocabulary, (count, *self.shape), generator=generator)


NETWORKS = {
    "mlp": Example(perceptron, (20,)),
    "cnn": Example(ConvNet, (3, 12, 12)),
    "residual": Example(ResidualNet, (3, 12, 12)),
    "lstm": Example(RecurrentNet, (10, 6)),
    "transformer": Example(TransformerNet, (12,), vocabulary=50),
    "every_kind": Example(EveryKindNet, (3, 12, 12)),
}
