"""Small things to learn: data with a rule in it, and a run over them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.data import Dataset
from worker.network import Network, with_flat_outputs
from worker.run import Run

CLASSES = 3
FEATURES = 6


def vectors(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of three classes, by which of three sums is largest."""
    x = np.random.default_rng(seed).standard_normal((count, FEATURES)).astype(np.float32)
    return x, x.reshape(count, CLASSES, -1).sum(axis=2).argmax(axis=1)


def dataset(train: int = 400, test: int = 60, **replaced: np.ndarray | None) -> Dataset:
    x_train, y_train = vectors(train, seed=1)
    x_test, y_test = vectors(test, seed=2)
    arrays: dict[str, Any] = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    return Dataset({name: array for name, array in (arrays | replaced).items() if array is not None})


def unlabelled() -> Dataset:
    return dataset(y_train=None, y_test=None)


def perceptron(hidden: int = 24) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))


def network(make: Callable[[], nn.Module] = perceptron, *inputs: InputSpec, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    module = with_flat_outputs(fx.symbolic_trace(make().eval()))
    return Network(module, inputs or (InputSpec(name="x", shape=("batch", FEATURES)),))


def run_for(given: Network, data: Dataset | None = None, *, seed: int = 0) -> Run:
    """`messages` of it are what was reported."""
    messages: list[Any] = []
    run = Run(seed, messages.append, given, (data or dataset()).for_network(given.inputs))
    run.messages = messages  # type: ignore[attr-defined]
    return run


def weights(module: nn.Module) -> Mapping[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def accuracy(module: nn.Module, data: Dataset | None = None) -> float:
    """On the test examples."""
    test = (data or dataset()).test
    inputs, labels = test.take(range(len(test)))
    with torch.no_grad():
        right = module(*inputs.values()).argmax(dim=1) == labels
    return float(right.float().mean())
