"""What calibration takes of memory, by method and by the number of images, beside ONNX Runtime's quantize_static: the
peak of a process beyond its imports, from a traced ResNet-18 to an int8 ONNX file. One JSON line for each.

Images are made up as they are asked for, so that none lies in memory before. ONNX Runtime keeps every activation of
every image for its histograms: it isn't given as many as ours.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("min_max", "moving_average", "percentile", "entropy", "mse")
OURS, THEIRS, MANY = (16, 96), (16, 96), 512
# More images by the method that presets take.
MANY_BY = "percentile"
PEERS = {"min_max": "MinMax", "moving_average": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
SHAPE = (3, 224, 224)
# Peak memory for six times the images.
GOAL = 1.1


class MadeUpImages:
    """An array of which each image is drawn when it is taken, always the same."""

    dtype = np.dtype(np.float32)

    def __init__(self, count: int) -> None:
        self.shape = (count, *SHAPE)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray[Any, Any]:
        positions = np.arange(len(self))[rows]
        images = [np.random.default_rng(each).standard_normal(SHAPE, np.float32) for each in np.ravel(positions)]
        return np.stack(images).reshape(*positions.shape, *SHAPE)


def ours(folder: Path, method: Any, count: int) -> float:
    from app.core.inputs import InputSpec
    from app.core.recipes import StaticQuantization
    from app.core.tasks import ModelFile
    from worker.data import Examples, NetworkData
    from worker.exporting import export
    from worker.loading import load_network
    from worker.run import Run
    from worker.techniques import apply

    imported = peak_memory_mb()
    inputs = (InputSpec(name="x", shape=("batch", *SHAPE)),)
    network = load_network(ModelFile(path="inputs/model.pt", format="torchscript", inputs=inputs), folder, None)
    examples = Examples({"x": MadeUpImages(count)}, None, np.arange(count))
    run = Run(0, lambda _message: None, network, NetworkData(examples, examples, network.inputs))
    quantized = apply(StaticQuantization(calibration=method, examples=count), network, run)
    export(quantized, "onnx", folder / "ours.onnx")
    return peak_memory_mb() - imported


def theirs(folder: Path, method: str, count: int) -> float:
    import torch
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    imported = peak_memory_mb()
    exact, prepared = folder / "exact.onnx", folder / "prepared.onnx"
    axes = {"x": {0: "batch"}}
    example = (torch.zeros(1, *SHAPE),)
    torch.onnx.export(
        torch.jit.load(folder / "inputs/model.pt"), example, exact, dynamo=False, input_names=["x"], dynamic_axes=axes
    )
    quant_pre_process(exact, prepared)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        feeds = iter({"x": MadeUpImages(count)[[position]]} for position in range(count))

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quantize_static(
        prepared,
        folder / "theirs.onnx",
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        calibrate_method=CalibrationMethod[PEERS[method]],
        extra_options={"CalibMovingAverage": method == "moving_average"},
    )
    return peak_memory_mb() - imported


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(who: str, folder: Path, method: str, count: int) -> float:
    command = [sys.executable, __file__, who, str(folder), method, str(count)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(ran.stdout.splitlines()[-1])


def prepare(folder: Path) -> None:
    import torch
    from support.random_networks import resnet18

    torch.manual_seed(0)
    with torch.no_grad():
        archive = torch.jit.trace(resnet18(folder).network.eval(), torch.zeros(2, *SHAPE), check_trace=False)
    (folder / "inputs").mkdir()
    torch.jit.save(archive, str(folder / "inputs/model.pt"))


def measured(folder: Path, method: str) -> dict[str, object]:
    counts = (*OURS, MANY) if method == MANY_BY else OURS
    own = {count: round(alone("ours", folder, method, count)) for count in counts}
    others = {count: round(alone("theirs", folder, method, count)) for count in THEIRS if method in PEERS}
    growth = max(own.values()) / own[OURS[0]]
    return {
        "benchmark": "calibration_memory",
        "network": "resnet18",
        "method": method,
        "ours_mb": own,
        "onnxruntime_mb": others or None,
        "growth": round(growth, 2),
        "goal": GOAL,
        "met": growth <= GOAL,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        for method in METHODS:
            started = time.perf_counter()
            print(json.dumps(measured(folder, method) | {"seconds": round(time.perf_counter() - started)}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        who, where, by, images = sys.argv[1:]
        print({"ours": ours, "theirs": theirs}[who](Path(where), by, int(images)))
    else:
        main()
