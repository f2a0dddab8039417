"""How many examples are calibrated with at once."""

import numpy as np
import pytest
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.data import Examples
from worker.network import Network
from worker.quantization.calibration_data import CalibrationData


@pytest.mark.parametrize(("width", "batch"), [(8, 16), (1 << 19, 15), (1 << 23, 1)])
def test_batches_are_as_large_as_what_is_computed_of_them_allows(width: int, batch: int) -> None:
    """One number goes in, and `width` come out of each of two layers."""
    widened = fx.symbolic_trace(nn.Sequential(nn.Upsample(scale_factor=width), nn.ReLU()))
    network = Network(widened, (InputSpec(name="x", shape=("batch", 1, 1)),))
    values = np.arange(40, dtype=np.float32).reshape(40, 1, 1)
    examples = Examples({"x": values}, None, np.arange(40))
    data = CalibrationData(network, examples, np.arange(40))
    assert (data.batch_size, data.batches) == (batch, -(-40 // batch))
