"""Every kind of layer by itself, traced and scripted: it becomes the same layer again and answers as it did."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importing.archives import Way, rebuilt_from
from worker.loading.verification import verify

SERIES, IMAGE, VOLUME, VECTOR, TOKENS = (4, 12), (4, 8, 8), (4, 6, 6, 6), (6,), (5,)
Make = Callable[[], nn.Module]
LAYERS: dict[tuple[str, tuple[int, ...]], Make] = {
    ("Conv1d, same", SERIES): lambda: nn.Conv1d(4, 6, 4, padding="same"),
    ("Conv2d, same, even", IMAGE): lambda: nn.Conv2d(4, 6, (4, 3), padding="same", dilation=2),
    ("Conv3d, valid", VOLUME): lambda: nn.Conv3d(4, 6, 3, padding="valid"),
    ("Conv1d, dilated", SERIES): lambda: nn.Conv1d(4, 6, 3, dilation=2, padding=2),
    ("Conv2d, grouped", IMAGE): lambda: nn.Conv2d(4, 8, 3, groups=2, stride=2),
    ("Conv2d, depthwise", IMAGE): lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False),
    ("Conv3d, grouped", VOLUME): lambda: nn.Conv3d(4, 4, 3, groups=2, padding=1),
    ("Conv2d, circular", IMAGE): lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    ("Conv2d, reflect", IMAGE): lambda: nn.Conv2d(4, 4, 3, padding=(1, 2), padding_mode="reflect"),
    ("ConvTranspose1d", SERIES): lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1),
    ("ConvTranspose2d", IMAGE): lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
    ("ConvTranspose2d, dilated", IMAGE): lambda: nn.ConvTranspose2d(4, 6, 3, dilation=2, bias=False),
    ("ConvTranspose3d", VOLUME): lambda: nn.ConvTranspose3d(4, 2, 2, stride=2),
    ("Linear", VECTOR): lambda: nn.Linear(6, 3),
    ("Linear, of a series", (5, 6)): lambda: nn.Linear(6, 3, bias=False),
    ("BatchNorm1d", VECTOR): lambda: nn.BatchNorm1d(6),
    ("BatchNorm1d, of a series", SERIES): lambda: nn.BatchNorm1d(4, affine=False),
    ("BatchNorm2d", IMAGE): lambda: nn.BatchNorm2d(4, eps=1e-3, momentum=0.2),
    ("BatchNorm3d", VOLUME): lambda: nn.BatchNorm3d(4),
    ("LayerNorm", (5, 6)): lambda: nn.LayerNorm(6, eps=1e-6),
    ("LayerNorm, wide", IMAGE): lambda: nn.LayerNorm((4, 8, 8), elementwise_affine=False),
    ("GroupNorm", IMAGE): lambda: nn.GroupNorm(2, 4),
    ("InstanceNorm1d", SERIES): lambda: nn.InstanceNorm1d(4),
    ("InstanceNorm2d", IMAGE): lambda: nn.InstanceNorm2d(4, affine=True),
    ("InstanceNorm3d", VOLUME): lambda: nn.InstanceNorm3d(4, affine=True),
    ("InstanceNorm2d, tracking", IMAGE): lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    ("Embedding", TOKENS): lambda: nn.Embedding(9, 4, padding_idx=1),
    ("LSTM, stacked", (5, 6)): lambda: nn.LSTM(6, 4, 2, batch_first=True, dropout=0.1),
    ("LSTM, both ways", (5, 6)): lambda: nn.LSTM(6, 4, bidirectional=True, batch_first=True, bias=False),
    ("LSTM, projected", (5, 6)): lambda: nn.LSTM(6, 4, 2, proj_size=3, bidirectional=True, batch_first=True),
    ("GRU, stacked, both ways", (5, 6)): lambda: nn.GRU(6, 4, 2, bidirectional=True, batch_first=True),
    ("RNN, stacked, both ways", (5, 6)): lambda: nn.RNN(6, 4, 2, bidirectional=True, batch_first=True),
    ("RNN, of relu", (5, 6)): lambda: nn.RNN(6, 4, nonlinearity="relu", batch_first=True, bias=False),
    ("Dropout", VECTOR): lambda: nn.Dropout(0.3),
    ("Dropout1d", SERIES): lambda: nn.Dropout1d(0.3),
    ("Dropout2d", IMAGE): lambda: nn.Dropout2d(0.3),
    ("Dropout3d", VOLUME): lambda: nn.Dropout3d(0.3),
    ("AlphaDropout", VECTOR): lambda: nn.AlphaDropout(0.3),
    ("FeatureAlphaDropout", IMAGE): lambda: nn.FeatureAlphaDropout(0.3),
    **{(name, VECTOR): getattr(nn, name) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Hardtanh",
        "Hardsigmoid", "Hardswish", "Softplus", "LogSigmoid", "Softsign", "Tanhshrink", "Softshrink", "Hardshrink",
        "PReLU",
    )},
    ("GELU, tanh", VECTOR): lambda: nn.GELU("tanh"),
    ("Threshold", VECTOR): lambda: nn.Threshold(0.1, -1.0),
    ("RReLU", VECTOR): lambda: nn.RReLU(0.1, 0.3),
    ("Softmax", VECTOR): lambda: nn.Softmax(-1),
    ("LogSoftmax", VECTOR): lambda: nn.LogSoftmax(1),
    ("Softmin", VECTOR): lambda: nn.Softmin(-1),
    ("GLU", VECTOR): lambda: nn.GLU(1),
    ("MaxPool1d", SERIES): lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True),
    ("MaxPool2d", IMAGE): lambda: nn.MaxPool2d(2, dilation=2),
    ("MaxPool3d", VOLUME): lambda: nn.MaxPool3d(2),
    ("AvgPool1d", SERIES): lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False),
    ("AvgPool2d", IMAGE): lambda: nn.AvgPool2d(3, 2, divisor_override=5),
    ("AvgPool3d", VOLUME): lambda: nn.AvgPool3d(2, ceil_mode=True),
    ("LPPool2d", IMAGE): lambda: nn.LPPool2d(2, 2),
    ("AdaptiveAvgPool1d", SERIES): lambda: nn.AdaptiveAvgPool1d(5),
    ("AdaptiveAvgPool2d", IMAGE): lambda: nn.AdaptiveAvgPool2d((3, 5)),
    ("AdaptiveAvgPool3d", VOLUME): lambda: nn.AdaptiveAvgPool3d(1),
    ("AdaptiveMaxPool1d", SERIES): lambda: nn.AdaptiveMaxPool1d(5),
    ("AdaptiveMaxPool2d", IMAGE): lambda: nn.AdaptiveMaxPool2d((3, 2)),
    ("AdaptiveMaxPool3d", VOLUME): lambda: nn.AdaptiveMaxPool3d(2),
    ("Upsample, nearest", SERIES): lambda: nn.Upsample(scale_factor=2),
    ("Upsample, bilinear", IMAGE): lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    ("Upsample, to a size", IMAGE): lambda: nn.Upsample((11, 5), mode="bicubic"),
    ("Upsample, trilinear", VOLUME): lambda: nn.Upsample(scale_factor=(2, 1, 1.5), mode="trilinear"),
    ("PixelShuffle", IMAGE): lambda: nn.PixelShuffle(2),
    ("PixelUnshuffle", IMAGE): lambda: nn.PixelUnshuffle(2),
    ("ChannelShuffle", IMAGE): lambda: nn.ChannelShuffle(2),
    ("ZeroPad2d", IMAGE): lambda: nn.ZeroPad2d((1, 2, 0, 1)),
    ("ConstantPad1d", SERIES): lambda: nn.ConstantPad1d(2, 0.5),
    ("ReflectionPad2d", IMAGE): lambda: nn.ReflectionPad2d(2),
    ("ReplicationPad3d", VOLUME): lambda: nn.ReplicationPad3d(1),
    ("Unflatten", VECTOR): lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(1)),
    ("TransformerEncoder", (5, 8)): lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
    ),
    ("TransformerEncoder, time first", (5, 8)): lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), 1, nn.LayerNorm(8), enable_nested_tensor=False
    ),
}  # fmt: skip

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:.*was found in ScriptModule constants"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
]


class One(nn.Module):
    """The layer under a name of its own."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layer(x)
        return answer


class OneOfSeveral(One):
    """A recurrent layer answers its states as well."""

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layer(x)[0]
        return answer


def inputs_of(shape: tuple[int, ...]) -> Callable[[int], tuple[Tensor, ...]]:
    def make(batch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(batch)
        if shape is TOKENS:
            return (torch.randint(0, 9, (batch, *shape), generator=generator),)
        return (torch.randn(batch, *shape, generator=generator),)

    return make


@pytest.mark.parametrize("way", ["trace", "script"])
@pytest.mark.parametrize(("kind", "shape"), LAYERS, ids=[kind for kind, _ in LAYERS])
def test_a_layer_comes_back(kind: str, shape: tuple[int, ...], way: Way) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind, shape]()
    wrapped = OneOfSeveral(layer) if isinstance(layer, nn.RNNBase) else One(layer)
    result = rebuilt_from(wrapped, inputs_of(shape), way)
    assert verify(result.network, wrapped, inputs_of(shape)).largest < 1e-5
    names = {result.network.meta["renamed"].get(name, name) for name in result.network.state_dict()}
    assert names == set(wrapped.state_dict())
    if any(True for _ in layer.parameters(recurse=False)):
        assert type(result.network.get_submodule("layer")) is type(layer)
