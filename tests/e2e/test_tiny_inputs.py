"""A recurrent network that dynamic int8 destroys: what tells its classes apart is a thousandth of what stands beside
it, and int8 knows one step size for both."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.client import Client
from app.core.measurements import Result

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.heard(series))

    def heard(self, series: Tensor) -> Tensor:
        return self.lstm(series)[0].mean(dim=1)


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A carrier of up to 1, beside it a signal of 0.0005 to 0.0015 whose sign is the class."""
    generator = np.random.default_rng(seed)
    carrier = generator.uniform(-1, 1, (count, 12, 1))
    classes = generator.integers(0, 2, count)
    signal = (2 * classes - 1).reshape(-1, 1, 1) * 1e-3 * (0.5 + generator.random((count, 12, 1)))
    return np.concatenate([carrier, signal], axis=2).astype(np.float32), classes


def listener(series: np.ndarray, classes: np.ndarray) -> Listener:
    """Its head is solved for, so that it answers all examples rightly."""
    torch.manual_seed(0)
    network = Listener().eval()
    with torch.no_grad():
        network.lstm.weight_ih_l0 *= torch.tensor([0.1, 300.0])
        heard = network.heard(torch.from_numpy(series))
        wanted = torch.from_numpy(2.0 * classes - 1).float().unsqueeze(1)
        solved = torch.linalg.lstsq(torch.cat([heard, torch.ones(len(heard), 1)], dim=1), wanted).solution[:, 0]
        network.head.weight.copy_(torch.stack([-solved[:-1], solved[:-1]]))
        network.head.bias.copy_(torch.stack([-solved[-1], solved[-1]]))
    return network


def test_the_best_file_keeps_the_quality_that_dynamic_int8_loses(client: Client, tmp_path: Path) -> None:
    series, classes = examples(600, 0)
    archive, arrays = tmp_path / "listener.pt", tmp_path / "series.npz"
    torch.jit.save(torch.jit.trace(listener(series, classes), torch.from_numpy(series[:2])), str(archive))
    test_series, test_classes = examples(400, 1)
    np.savez(arrays, x_train=series, y_train=classes, x_test=test_series, y_test=test_classes)
    model = client.wait_for_model(client.upload_model(archive).id, 60)
    dataset = client.upload_dataset(arrays)
    body = {"model": model.id, "dataset": dataset.id, "recipe": {"preset": "safe"}, "outputs": ["auto"]}
    job = client.wait(client.submit(body | {"minimize": "size"}).id, 240)
    assert job.status == "succeeded", job.error
    result = Result.model_validate(job.result)
    quality = {artifact.name: artifact.measured.quality.value for artifact in result.artifacts}
    assert quality["model.float32.onnx"] == 1.0
    assert quality["model.int8-dynamic.onnx"] < 0.7
    assert quality[result.best] >= 0.99
    assert any("model.int8-dynamic.onnx was passed over" in warning for warning in result.warnings)
