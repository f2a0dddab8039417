"""A run over given examples, as a technique gets it."""

import numpy as np
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.data import Dataset
from worker.network import Network
from worker.run import Run


def network_of(module: nn.Module, shape: tuple[int | str, ...], dtype: str = "float32", **bounds: int) -> Network:
    traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module.eval())
    return Network(traced, (InputSpec(name="x", shape=("batch", *shape), dtype=dtype, **bounds),))


def run_over(network: Network, x: np.ndarray, y: np.ndarray | None = None, seed: int = 0) -> Run:
    arrays = {"x_train": x, "x_test": x} | ({} if y is None else {"y_train": y, "y_test": y})
    data = Dataset(arrays).for_network(network.inputs)
    return Run(seed, lambda _message: None, network, data)
