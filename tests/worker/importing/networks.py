"""The table of tiny networks, of what people upload, at sizes that run in milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.worker.importing.convolutional import (
    BakedView,
    Convolutional,
    Dense,
    GroupedSqueezeExcite,
    ImageOperators,
    InvertedResidual,
    Residual,
    Separable1d,
    UNet,
    Upsampling,
    Volumetric,
)
from tests.worker.importing.programs import (
    BilinearPooling,
    ControlFlow,
    DictOutput,
    Indexing,
    InPlace,
    Named,
    OldLinear,
    Subclassed,
    TwoInTwoOut,
    WeightNormed,
)
from tests.worker.importing.sequential import (
    Cells,
    ConvolutionalRecurrent,
    CrossAttention,
    EncoderDecoder,
    FirstState,
    FusedAttention,
    LastHidden,
    Positional,
    Recurrent,
    Tied,
    Transformer,
    Unrolled,
    WrittenAttention,
)


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]  # of one example
    tokens: int = 0  # how many there are, if the input is of whole numbers
    scripts: bool = True

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
    Case("image operators", ImageOperators, ((4, 4, 4),)),
    Case("encoder decoder", EncoderDecoder, ((5, 8), (4, 8))),
    Case("first state", FirstState, SEQUENCE),
    Case("unrolled", Unrolled, SEQUENCE),
    Case("named", Named, ((6,),)),
    Case("subclassed", lambda: nn.Sequential(Subclassed(), nn.Linear(3, 2)), ((6,),)),
    Case("indexing", Indexing, ((6,),)),
    Case("bilinear pooling", BilinearPooling, ((8,),)),
)
