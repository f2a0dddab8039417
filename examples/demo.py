"""The whole path once, for real: `make demo`.

Starts the service with an empty temporary folder, sends it the example network and its data over HTTP, has it
quantize the network to int8, prints what was measured, compares five recipes and two controls, and stops the service.
The best recipe's files and the study's charts stay in `var/demo`.
"""

import tempfile
from pathlib import Path

from app.cli.embedded_service import running_service
from app.cli.printing import console
from app.cli.watching import watch_job
from app.cli.watching_studies import download_best, watch_study
from app.client import Client

HERE = Path(__file__).parent
RESULTS = Path("var/demo")

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


def upload(client: Client) -> dict[str, str]:
    inputs = [{"name": "images", "shape": ["batch", 1, 28, 28]}]
    model = client.upload_model(HERE / "mnist_cnn.torchscript.pt", inputs=inputs)
    dataset = client.upload_dataset(HERE / "mnist5k.npz")
    console.print(f"Sent the network ({model.id}) and its data ({dataset.id}).", soft_wrap=True, highlight=False)
    return {"model": model.id, "dataset": dataset.id}


def compress(client: Client, material: dict[str, str]) -> None:
    """What it makes is fetched by nobody here, and goes with the service's folder."""
    job = client.submit({**material, "recipe": {"steps": [INT8]}, "outputs": ["onnx"]})
    watch_job(client, job.id)
    made = ", ".join(artifact.name for artifact in client.artifacts(job.id))
    console.print(f"It made {made}, which go when the demo ends.", soft_wrap=True, highlight=False)


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
            compress(client, material)
            compare(client, material, RESULTS)
        console.print(f"The service stopped with exit code {service.process.returncode}.", highlight=False)


if __name__ == "__main__":
    main()
