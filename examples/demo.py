"""The whole path once, for real: `make demo`.

Starts the service with an empty temporary folder, sends it the example network and its data over HTTP, has it
quantize the network to int8, prints what was measured, compares five recipes and two controls, and stops the service.
The best recipe's files and the study's charts stay in `var/demo`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cli.printing import console
from app.cli.watching import download_all, watch_job
from app.cli.watching_studies import download_best, watch_study
from app.client import Client

HERE = Path(__file__).parent
RESULTS = Path("var/demo")
START_SECONDS = 180
STOP_SECONDS = 60


LOW_RANK = [{"technique": "low_rank_factorization", "ratio": 0.5}, {"technique": "fine_tuning", "epochs": 1}]
INT8 = {"technique": "static_quantization"}
RECIPES = [
    {"steps": [INT8]},
    {"steps": [{"technique": "weight_quantization", "bits": 4}]},
    {"steps": LOW_RANK},
    {"steps": [*LOW_RANK, INT8]},
    {
        "steps": [
            {"technique": "structured_pruning", "ratio": 0.5, "criterion": "taylor"},
            {"technique": "distillation", "epochs": 2},
            INT8,
        ]
    },
]


@dataclass(frozen=True)
class Service:
    """A running `modelpress serve`; `url` once API and worker can both work."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path


@contextmanager
def running_service(data_dir: Path, *options: str) -> Iterator[Service]:
    """Ended by SIGTERM when the block is left, or when it isn't ready in time."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", str(data_dir), *options]
    environment = {**os.environ, "MODELPRESS_LOG_LEVEL": "warning"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield Service(_wait_until_ready(process), process, data_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[str]) -> str:
    too_late = threading.Timer(START_SECONDS, process.terminate)
    too_late.start()
    try:
        for line in process.stdout or ():
            if line.startswith("ready "):
                return line.split()[1]
    finally:
        too_late.cancel()
    sys.exit("The service didn't become ready; its own words are above.")


def upload(client: Client) -> dict[str, str]:
    inputs = [{"name": "images", "shape": ["batch", 1, 28, 28]}]
    model = client.upload_model(HERE / "mnist_cnn.torchscript.pt", inputs=inputs)
    dataset = client.upload_dataset(HERE / "mnist5k.npz")
    console.print(f"Sent the network ({model.id}) and its data ({dataset.id}).", soft_wrap=True, highlight=False)
    return {"model": model.id, "dataset": dataset.id}


def compress(client: Client, material: dict[str, str], folder: Path) -> None:
    job = client.submit({**material, "recipe": {"steps": [INT8]}, "outputs": ["onnx"]})
    watch_job(client, job.id)
    download_all(client, job.id, folder)


def compare(client: Client, material: dict[str, str], folder: Path) -> None:
    """Five recipes, and the last one's pruning at random and by magnitude; two recipes share their first steps."""
    console.print("Comparing five recipes and two controls ...")
    study = client.submit_study({**material, "recipes": RECIPES})
    download_best(client, watch_study(client, study.id), folder)
    console.print(f"The charts are in {folder / 'study.html'}.", highlight=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        console.print("Starting the service ...")
        with running_service(Path(folder) / "data") as service, Client(service.url) as client:
            console.print(f"It answers at {service.url}.", highlight=False)
            material = upload(client)
            compress(client, material, Path(folder) / "files")
            compare(client, material, RESULTS)
        console.print(f"The service stopped with exit code {service.process.returncode}.", highlight=False)


if __name__ == "__main__":
    main()
