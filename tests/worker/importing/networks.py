"""Tiny networks of every kind, by source: what people upload, at a size that runs in milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.2)
        )
        self.classifier = nn.Linear(8 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class BakedView(nn.Module):
    """The number of features written out, as in many tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.pool = nn.AvgPool2d(3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.log_softmax(self.fc(self.pool(functional.relu(self.conv(x))).view(-1, 8)), dim=1)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(Block(3, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 12, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.avgpool(self.layer2(self.layer1(x))), 1))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 + 4 * index, 4, 3, padding=1) for index in range(3)])
        self.head = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(functional.relu(layer(torch.cat(features, 1))))
        return self.head(torch.cat(features, 1).mean([2, 3]))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 4, 3, padding=1)
        self.down2 = nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.merge = nn.Conv2d(8, 4, 3, padding="same")
        self.out = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.down1(x))
        second = torch.relu(self.down2(functional.max_pool2d(first, 2)))
        up = self.up(second)
        up = functional.pad(up, [0, first.size(3) - up.size(3), 0, first.size(2) - up.size(2)])
        return torch.sigmoid(self.out(functional.elu(self.merge(torch.cat([first, up], 1)))))


class InvertedResidual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.Hardswish()
        )
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).reshape(x.shape[0], -1))


class GroupedSqueezeExcite(nn.Module):
    """Grouped and dilated convolutions, a channel shuffle, squeeze and excite, group norm, PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2)
        self.norm = nn.GroupNorm(4, 8)
        self.act = nn.PReLU(8)
        self.squeeze = nn.Conv2d(8, 2, 1)
        self.excite = nn.Conv2d(2, 8, 1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x)))
        batch, channels, height, width = x.size()
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous().view(batch, -1, height, width)
        gate = functional.hardsigmoid(self.excite(functional.silu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return self.fc((x * gate).mean((2, 3)))


class Separable1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 6, 5, padding=2)
        self.norm = nn.BatchNorm1d(6)
        self.instance = nn.InstanceNorm1d(6, affine=True)
        self.up = nn.ConvTranspose1d(6, 4, 3, stride=2, output_padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.norm(self.conv(x)), 0.1)
        x = self.up(functional.max_pool1d(self.instance(x), 2))
        return self.fc(functional.avg_pool1d(x, 3).mean(-1))


class Volumetric(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.up = nn.ConvTranspose3d(4, 2, 2, stride=2)
        self.drop = nn.Dropout3d(0.2)
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool3d(functional.celu(self.norm(self.conv(x))), 2)
        return self.fc(functional.adaptive_avg_pool3d(self.drop(self.up(x)), 1).flatten(1))


class Upsampling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.up = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = functional.softplus(self.conv(functional.avg_pool2d(x, 2)))
        large = self.up(small)
        return self.out(large + functional.interpolate(small, size=x.shape[2:], mode="nearest"))


class Recurrent(nn.Module):
    """Stacked and bidirectional; `kind` is one of torch's recurrent layers."""

    def __init__(self, kind: Callable[..., nn.Module], width: int, batch_first: bool = True, **settings: int) -> None:
        super().__init__()
        self.rnn = kind(6, 8, num_layers=2, bidirectional=True, batch_first=batch_first, dropout=0.1, **settings)
        self.fc = nn.Linear(width, 3)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        y, _ = self.rnn(x)
        return self.fc(y[:, -1] if self.batch_first else y[-1])


class LastHidden(nn.Module):
    """Uses the last hidden and cell state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (hidden, cell) = self.lstm(self.embedding(tokens))
        return self.fc(torch.cat([hidden[-1], cell[-1]], dim=-1))


class ConvolutionalRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.gru = nn.GRU(16, 6, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv(x)), (2, 1))
        x = x.permute(0, 3, 1, 2).flatten(2)
        return self.fc(self.gru(x)[0]).log_softmax(-1)


class Cells(nn.Module):
    """A loop over steps with a cell, and a first state that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)
        self.first = nn.Parameter(torch.randn(1, 5))
        self.fc = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first.expand(x.size(0), -1)
        cell = torch.zeros_like(hidden)
        for step in range(3):
            hidden, cell = self.cell(x[:, step], (hidden, cell))
        return self.fc(hidden)


class Transformer(nn.Module):
    def __init__(self, norm_first: bool = False, activation: str = "relu") -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first, activation=activation)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.encoder(x).mean(1))


class CrossAttention(nn.Module):
    """nn.MultiheadAttention with a query of its own, first dimension time."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        query, memory = query.transpose(0, 1), memory.transpose(0, 1)
        answer, weights = self.attention(query, memory, memory)
        assert weights is not None
        return self.norm(answer + query).transpose(0, 1) * weights.amax(-1, keepdim=True)


class FusedAttention(nn.Module):
    """One projection for query, key and value, as in vision transformers and GPTs."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 6, 8))
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.register_buffer("mask", torch.ones(6, 6).tril().bool())

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        batch, length, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=self.mask[:length, :length])
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width))[:, 0]


class WrittenAttention(nn.Module):
    """Attention spelled out with matmul, masked_fill and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1, 2, 4).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.matmul(query, key.transpose(-1, -2)) / 4**0.5
        mask = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), diagonal=1)
        weights = self.dropout(torch.softmax(scores.masked_fill(mask, float("-inf")), dim=-1))
        return torch.matmul(weights, value).transpose(1, 2).reshape(x.size(0), -1, 8)


class Tied(nn.Module):
    """The decoder's weight is the embedding's, and one block is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.GELU())
        self.decoder = nn.Linear(8, 12)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.decoder(self.block(self.block(self.embedding(tokens))))


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


class Positional(nn.Module):
    """Sizes turned into positions, and an index by a computed tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(15, 6), nn.Embedding(10, 6)
        self.norm = nn.LayerNorm(6, eps=1e-6)
        self.fc = nn.Linear(6, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.size(1), device=tokens.device).unsqueeze(0).expand_as(tokens)
        x = self.norm(self.tokens(tokens) + self.positions(positions))
        last = tokens.ne(0).sum(1).clamp(min=1) - 1
        return self.fc(x[torch.arange(x.size(0)), last])


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


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]  # of one example
    tokens: int = 0  # how many there are, if the input is of whole numbers
    scripts: bool = True
    traces: bool = True

    def inputs(self, batch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(batch)
        if self.tokens:
            return tuple(torch.randint(1, self.tokens, (batch, *shape), generator=generator) for shape in self.shapes)
        return tuple(torch.randn(batch, *shape, generator=generator) for shape in self.shapes)


def _perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.BatchNorm1d(8), nn.Linear(8, 3), nn.Softmax(-1)
    )


IMAGE = ((3, 8, 8),)
SEQUENCE = ((5, 6),)
CASES = (
    Case("perceptron", _perceptron, ((6,),)),
    Case("convolutional", Convolutional, IMAGE),
    Case("baked view", BakedView, IMAGE),
    Case("residual", Residual, IMAGE),
    Case("dense", Dense, IMAGE),
    Case("u-net", UNet, ((1, 9, 8),)),
    Case("inverted residual", InvertedResidual, IMAGE),
    Case("grouped squeeze-excite", GroupedSqueezeExcite, ((4, 8, 8),)),
    Case("1d", Separable1d, ((2, 16),)),
    Case("3d", Volumetric, ((1, 4, 4, 4),)),
    Case("upsampling", Upsampling, IMAGE),
    Case("lstm", lambda: Recurrent(nn.LSTM, 16), SEQUENCE),
    Case("lstm, time first", lambda: Recurrent(nn.LSTM, 16, batch_first=False), SEQUENCE),
    Case("lstm, projected", lambda: Recurrent(nn.LSTM, 8, proj_size=4), SEQUENCE),
    Case("gru", lambda: Recurrent(nn.GRU, 16), SEQUENCE),
    Case("rnn", lambda: Recurrent(nn.RNN, 16), SEQUENCE),
    Case("last hidden", LastHidden, ((7,),), tokens=20),
    Case("convolutional recurrent", ConvolutionalRecurrent, ((1, 8, 6),)),
    Case("cells", Cells, ((3, 4),)),
    Case("transformer", Transformer, ((5, 8),)),
    Case("transformer, norm first", lambda: Transformer(norm_first=True, activation="gelu"), ((5, 8),)),
    Case("cross attention", CrossAttention, ((5, 8), (4, 8))),
    Case("fused attention", FusedAttention, ((5, 8),)),
    Case("written attention", WrittenAttention, ((5, 8),)),
    Case("tied", Tied, ((4,),), tokens=12),
    Case("two in, two out", TwoInTwoOut, ((4,), (3,))),
    Case("dict output", DictOutput, ((4,),)),
    Case("control flow", ControlFlow, ((6,),)),
    Case("in place", InPlace, ((6,),)),
    Case("old linear", OldLinear, ((5,),)),
    Case("positional", Positional, ((7,),), tokens=15),
    Case("weight norm", WeightNormed, ((2, 9),), scripts=False),
    Case("bilinear pooling", BilinearPooling, ((8,),)),
)
