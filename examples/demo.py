"""The whole path once, for real: `make demo`.

Starts the service with an empty temporary folder, sends it the example network and its data over HTTP, has it
quantize the network to int8, prints what was measured, and stops the service.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.printing import console
from app.cli.watching import download_all, watch_job
from app.client import Client

HERE = Path(__file__).parent
STOP_SECONDS = 60


@contextmanager
def running_service(data_dir: str) -> Iterator[str]:
    """Its address, once API and worker can both work."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", data_dir]
    environment = {**os.environ, "MODELPRESS_LOG_LEVEL": "warning"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as service:
        assert service.stdout is not None
        try:
            ready = next((line for line in service.stdout if line.startswith("ready ")), None)
            if ready is None:
                sys.exit("The service ended before it was ready; its own words are above.")
            yield ready.split()[1]
        finally:
            service.send_signal(signal.SIGTERM)
            code = service.wait(STOP_SECONDS)
            console.print(f"The service stopped with exit code {code}.")


def compress(client: Client) -> str:
    inputs = [{"name": "images", "shape": ["batch", 1, 28, 28]}]
    model = client.upload_model(HERE / "mnist_cnn.torchscript.pt", inputs=inputs)
    dataset = client.upload_dataset(HERE / "mnist5k.npz")
    console.print(f"Sent the network ({model.id}) and its data ({dataset.id}).", highlight=False)
    recipe = {"steps": [{"technique": "static_quantization"}]}
    job = client.submit({"model": model.id, "dataset": dataset.id, "recipe": recipe, "outputs": ["onnx"]})
    watch_job(client, job.id)
    return job.id


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        console.print("Starting the service ...")
        with running_service(f"{folder}/data") as url, Client(url) as client:
            console.print(f"It answers at {url}.", highlight=False)
            download_all(client, compress(client), Path(folder) / "files")


if __name__ == "__main__":
    main()
