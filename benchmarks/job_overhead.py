"""The example's job: what it gains, and its time against the same library calls in one plain script. One JSON line.

The script does what anybody would write: load, export, quantize, load again, judge, time. The service adds the queue, a
sandboxed child for each phase, checks, the report and a durable publication.
"""

import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from app.cli.embedded_service import service_of_a_command

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MODEL, DATA = EXAMPLES / "mnist_cnn.torchscript.pt", EXAMPLES / "mnist5k.npz"
REPEATS = 5
TIMED_CALLS = 500


class Batches(CalibrationDataReader):
    def __init__(self, x: np.ndarray, name: str) -> None:
        self._feeds = iter([{name: batch} for batch in np.array_split(x, len(x) // 16)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def script(folder: Path) -> float:
    started = time.perf_counter()
    data = np.load(DATA)
    x_train, x_test, y_test = data["x_train"], data["x_test"], data["y_test"]
    module = torch.jit.load(MODEL)
    float_file, int8_file = folder / "float.onnx", folder / "int8.onnx"
    torch.onnx.export(module, (torch.from_numpy(x_train[:2]),), float_file, dynamo=False, input_names=["x"],
                      dynamic_axes={"x": {0: "batch"}})  # fmt: skip
    quantize_static(float_file, int8_file, Batches(x_train[:100], "x"), per_channel=True, weight_type=QuantType.QInt8)
    calls = [lambda x: module(torch.from_numpy(x)).numpy()]
    for file in (float_file, int8_file):
        session = onnxruntime.InferenceSession(file)
        calls.append(lambda x, session=session: session.run(None, {"x": x})[0])
    with torch.inference_mode():
        for call in calls:
            np.mean(call(x_test).argmax(1) == y_test)
            for _ in range(TIMED_CALLS):
                call(x_test[:1])
    return time.perf_counter() - started


def job(url: str) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    with MODEL.open("rb") as model, DATA.open("rb") as data:
        recipe = {"recipe": {"steps": [{"technique": "static_quantization"}]}, "measure": {"repeats": TIMED_CALLS}}
        answer = httpx2.post(
            f"{url}/v1/jobs",
            files={"file": (MODEL.name, model), "dataset_file": (DATA.name, data)},
            data={"job": json.dumps(recipe)},
            headers={"Prefer": "wait=120"},
            timeout=150,
        )
    assert answer.json()["status"] == "succeeded", answer.text
    return time.perf_counter() - started, answer.json()["result"]["comparison"]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    scripts, jobs = [], []
    with tempfile.TemporaryDirectory() as folder, service_of_a_command() as service:
        for _ in range(REPEATS):
            scripts.append(script(Path(folder)))
            seconds, comparison = job(service.url)
            jobs.append(seconds)
    line = {
        "benchmark": "job_overhead",
        "script_seconds": round(statistics.median(scripts), 2),
        "job_seconds": round(statistics.median(jobs), 2),
        "ratio": round(statistics.median(jobs) / statistics.median(scripts), 2),
        "size_ratio": round(comparison["size_ratio"], 2),
        "speedup": comparison["speedup"],
        "quality_change": comparison["quality_change"],
        "goal": {"size_ratio": 3.5, "speedup": 3.5, "quality_change": -0.01},
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
