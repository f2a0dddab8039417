"""Two networks of the sizes that people upload, and what importing each costs a fresh process. No benchmark itself."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from support.memory import memory_mb
from torch import Tensor, nn

from app.core.inputs import InputSpec
from worker.loading.torchscript import lift_archive, load_archive

MEGABYTE = 1 << 20


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.downsample(x))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride=2 if stage and not block else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class Encoder(nn.Module):
    """Of the size of BERT base: 12 layers, 768 wide, 30 522 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(30_522, 768), nn.Embedding(512, 768)
        layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
        self.classifier = nn.Linear(768, 2)

    def forward(self, x: Tensor) -> Tensor:
        positions = torch.arange(x.size(1), device=x.device)
        return self.classifier(self.encoder(self.tokens(x) + self.positions(positions))[:, 0])


LARGE: dict[str, tuple[Callable[[], nn.Module], InputSpec, Tensor]] = {
    "resnet50": (resnet50, InputSpec(name="x", shape=("batch", 3, 224, 224)), torch.zeros(2, 3, 224, 224)),
    "encoder, base": (
        Encoder,
        InputSpec(name="x", shape=("batch", 128), dtype="int64", low=0, high=30_522),
        torch.zeros(2, 128, dtype=torch.long),
    ),
}


def imported_alone(name: str) -> dict[str, object]:
    """In a process of its own, so that nothing else counts."""
    build, inputs, example = LARGE[name]
    source = build().eval()
    parameters = sum(one.numel() for one in source.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.jit.save(torch.jit.trace(source, example, check_trace=False), path)
        del source
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(_imported, (path, inputs))
    return {"network": name, "parameters": parameters, "parameters_mb": round(4 * parameters / MEGABYTE), **measured}


def _imported(path: Path, inputs: InputSpec) -> dict[str, float]:
    """The import ends with the comparison with the archive at three batch sizes."""
    torch.backends.mha.set_fastpath_enabled(False)
    before, started = memory_mb("self"), time.perf_counter()
    archive = load_archive(path)
    loaded, loaded_mb = time.perf_counter(), memory_mb("self")
    lift_archive(archive, (inputs,))
    return {
        "load_seconds": round(loaded - started, 2),
        "import_seconds": round(time.perf_counter() - loaded, 2),
        "loaded_growth_mb": round(loaded_mb - before),
        "peak_growth_mb": round(memory_mb("self", "VmHWM") - before),
    }
