"""Networks put together at random from the kinds of layers, so that nothing is fitted to a list.

The seed is part of each test's name; `MODELPRESS_TEST_SEED` repeats a run.
"""

import os
import random
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importing.archives import Way, rebuilt_from
from worker.loading.verification import verify

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
SEED = int(os.environ["MODELPRESS_TEST_SEED"])
NETWORKS = 10
CHANNELS = (4, 6, 8)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Tanh, nn.Hardswish, nn.LeakyReLU, nn.ELU, nn.Mish, nn.Softplus)


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Concatenated(nn.Module):
    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], dim=1)


class Gated(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


class ToSequence(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class First(nn.Module):
    """Of what a recurrent layer answers."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Pooled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def normalization(draw: random.Random, channels: int) -> nn.Module:
    kinds: list[Callable[[], nn.Module]] = [
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.GroupNorm(2, channels),
        lambda: nn.InstanceNorm2d(channels, affine=draw.random() < 0.5),
        nn.Identity,
    ]
    return draw.choice(kinds)()


def convolution(draw: random.Random, inputs: int, outputs: int) -> nn.Module:
    kernel = draw.choice((1, 3, 5))
    padding = draw.choice(("same", kernel // 2))
    groups = 2 if inputs % 2 == outputs % 2 == 0 and draw.random() < 0.3 else 1
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups, bias=draw.random() < 0.5)


def image_blocks(draw: random.Random, inputs: int) -> Iterable[tuple[nn.Module, int]]:
    """Each block with the number of channels that it answers."""
    for _ in range(draw.randint(1, 4)):
        outputs = draw.choice(CHANNELS)
        plain = nn.Sequential(
            convolution(draw, inputs, outputs), normalization(draw, outputs), draw.choice(ACTIVATIONS)()
        )
        yield plain, outputs
        inputs = outputs
        extra = draw.choice(("residual", "concatenated", "gated", "pool", "up", "dropout", "none"))
        if extra == "residual":
            yield Residual(nn.Sequential(convolution(draw, inputs, inputs), draw.choice(ACTIVATIONS)())), inputs
        elif extra == "concatenated":
            yield Concatenated(convolution(draw, inputs, 4), nn.ConvTranspose2d(inputs, 2, 3, padding=1)), 6
            inputs = 6
        elif extra == "gated":
            yield Gated(inputs), inputs
        elif extra == "pool":
            yield draw.choice((nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2, 1))), inputs
        elif extra == "up":
            yield nn.Upsample(scale_factor=2.0, mode=draw.choice(("nearest", "bilinear"))), inputs
        elif extra == "dropout":
            yield draw.choice((nn.Dropout(0.2), nn.Dropout2d(0.2))), inputs


def sequence_blocks(draw: random.Random, width: int) -> Iterable[tuple[nn.Module, int]]:
    for _ in range(draw.randint(1, 3)):
        kind = draw.choice(("lstm", "gru", "rnn", "encoder", "linear", "norm"))
        both = draw.random() < 0.5
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
        if kind in recurrent:
            layers = draw.choice((1, 2))
            yield (
                First(recurrent[kind](width, 4, num_layers=layers, bidirectional=both, batch_first=True)),
                4 * (1 + both),
            )
            width = 4 * (1 + both)
        elif kind == "encoder":
            yield nn.TransformerEncoderLayer(width, 2, 8, batch_first=True, norm_first=both), width
        elif kind == "linear":
            yield nn.Sequential(nn.Linear(width, 6, bias=both), draw.choice(ACTIVATIONS)()), 6
            width = 6
        else:
            yield nn.LayerNorm(width), width


def random_network(draw: random.Random) -> nn.Module:
    images_part = list(image_blocks(draw, 3))
    channels = images_part[-1][1]
    layers = [block for block, _ in images_part]
    if draw.random() < 0.4:
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))
    sequence_part = list(sequence_blocks(draw, channels))
    layers += [ToSequence(), *(block for block, _ in sequence_part), Pooled()]
    return nn.Sequential(*layers, nn.Linear(sequence_part[-1][1], 3))


def images(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 8, 8, generator=torch.Generator().manual_seed(batch)),)


@pytest.mark.parametrize("seed", range(SEED, SEED + NETWORKS))
def test_a_random_network_is_rebuilt(seed: int) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    way: Way = draw.choice(("trace", "script"))
    rebuilt = rebuilt_from(random_network(draw), images, way)
    assert verify(rebuilt.network, rebuilt.archive, images).largest < 1e-4
    kept = {rebuilt.network.meta["renamed"].get(name, name) for name, _ in rebuilt.network.named_parameters()}
    assert kept == {name for name, _ in rebuilt.source.named_parameters()}
