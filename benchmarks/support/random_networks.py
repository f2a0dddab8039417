"""Networks that people deploy, with random weights, and one that is trained in a minute. No benchmark itself."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.plain_training import train
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel, ResNetConfig, ResNetForImageClassification

TRAIN, TEST = 100, 32
TOKENS = 128


@dataclass(frozen=True)
class Built:
    network: nn.Module
    data: dict[str, np.ndarray[Any, Any]]


class Logits(nn.Module):
    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x).logits


class Sentence(nn.Module):
    """The mean of its tokens, as sentences are compared by."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x).last_hidden_state.mean(dim=1)


class WidePerceptron(nn.Module):
    def __init__(self, width: int = 4096) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def resnet18(_folder: Path) -> Built:
    widths = [64, 128, 256, 512]
    shape = ResNetConfig(depths=[2, 2, 2, 2], layer_type="basic", hidden_sizes=widths, num_labels=1000)  # type: ignore[call-arg]
    images = torch.randn(TRAIN + TEST, 3, 224, 224).half().numpy()
    return Built(Logits(ResNetForImageClassification(shape)), _apart(images))


def distilbert(_folder: Path) -> Built:
    network = Sentence(DistilBertModel(DistilBertConfig(attn_implementation="eager")))  # type: ignore[call-arg]
    return Built(network, _apart(torch.randint(30_522, (TRAIN + TEST, TOKENS)).numpy()))


def mlp_4096(folder: Path) -> Built:
    with np.load(folder / "data" / "mnist5k.npz") as arrays:
        data = dict(arrays)
    network = WidePerceptron()
    train(network, torch.from_numpy(data["x_train"]).float(), torch.from_numpy(data["y_train"]).long(), epochs=2)
    return Built(network, data)


BUILT: dict[str, Callable[[Path], Built]] = {"resnet18": resnet18, "distilbert": distilbert, "mlp_4096": mlp_4096}


def build(name: str, folder: Path, target: Path) -> None:
    """Writes `NAME.torchscript.pt`, `NAME.npz` and what the network takes, `NAME.json`, unless they are there."""
    described = target / f"{name}.json"
    if described.exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    built = BUILT[name](folder)
    np.savez(target / f"{name}.npz", **built.data)
    first = built.data["x_train"][:2]
    example = torch.from_numpy(first.astype(np.float32) if first.dtype == np.float16 else first)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(built.network.eval(), example, check_trace=False)
    torch.jit.save(traced, str(target / f"{name}.torchscript.pt"))
    described.write_text(json.dumps({"shape": [None, *example.shape[1:]], "dtype": str(example.numpy().dtype)}))


def _apart(examples: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {"x_train": examples[:TRAIN], "x_test": examples[TRAIN:]}
