"""Tiny networks for images, sounds and volumes."""

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


class ImageOperators(nn.Module):
    """Pools, pads, resamplers and normalizations that are used less often."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.batch = nn.BatchNorm2d(8, track_running_stats=False)
        self.layer = nn.LayerNorm([8, 4, 4])
        self.local = nn.LocalResponseNorm(2)
        self.shuffle = nn.PixelShuffle(2)
        self.maximum = nn.AdaptiveMaxPool2d(3)
        self.average = nn.AdaptiveAvgPool2d((2, 3))
        self.power = nn.LPPool2d(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.local(self.layer(self.batch(self.conv(x))))
        unfolded = functional.fold(functional.unfold(y, 2), (4, 4), 2)
        parts = [self.shuffle(y), self.maximum(y), self.average(y), self.power(y.abs() + 0.1), unfolded]
        parts += [functional.pad(y, [1, 1, 1, 1], mode="replicate"), functional.hardtanh(y), functional.logsigmoid(y)]
        return torch.cat([part.flatten(1) for part in parts], 1)
