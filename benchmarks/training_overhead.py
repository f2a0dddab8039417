"""What fine_tuning costs beside the same loop in a plain script: processor seconds of training alone, and the peak
memory, of the whole process and of what it takes beyond its imports (a job's hold ONNX Runtime, too). One JSON line.

Both in processes of their own, one thread each, by turns; the least of each is compared, which others on the machine
disturb least.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROUNDS, EPOCHS = 3, 3
EXAMPLES = Path(__file__).parents[1] / "examples"
GOAL_TIME, GOAL_MEMORY = 1.1, 1.2

Costs = dict[str, float]


def plain() -> Costs:
    from support import plain_training

    imported = peak_memory_mb()
    network, x, y = plain_training.load(EXAMPLES)
    started = time.process_time()
    plain_training.train(network, x, y, EPOCHS)
    return costs(time.process_time() - started, imported)


def ours(folder: Path) -> Costs:
    from app.core.recipes import FineTuning
    from app.core.tasks import DatasetFile, ModelFile
    from worker.data import open_dataset
    from worker.data_fit import fitting_data
    from worker.loading import load_network
    from worker.run import Run
    from worker.techniques import apply

    imported = peak_memory_mb()
    dataset = open_dataset(folder, DatasetFile(path="inputs/mnist5k.npz", format="npz"))
    model = ModelFile(path="inputs/mnist_cnn.torchscript.pt", format="torchscript")
    network = load_network(model, folder, dataset)
    run = Run(0, lambda _message: None, network, fitting_data(network, dataset))
    started = time.process_time()
    apply(FineTuning(epochs=EPOCHS), network, run)
    return costs(time.process_time() - started, imported)


def costs(seconds: float, imported: float) -> Costs:
    peak = peak_memory_mb()
    return {"seconds": seconds, "memory_mb": peak, "memory_over_imports_mb": peak - imported}


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(kind: str, folder: Path) -> Costs:
    command = [sys.executable, __file__, kind, str(folder)]
    answer: Costs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def least(rounds: list[Costs]) -> Costs:
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def main(folder: Path) -> None:
    (folder / "inputs").symlink_to(EXAMPLES)
    turns = [(alone("plain", folder), alone("ours", folder)) for _ in range(ROUNDS)]
    script, job = least([turn[0] for turn in turns]), least([turn[1] for turn in turns])
    result = {
        "benchmark": "training_overhead",
        "script": {name: round(value, 2) for name, value in script.items()},
        "job": {name: round(value, 2) for name, value in job.items()},
        "time_ratio": round(job["seconds"] / script["seconds"], 3),
        "memory_ratio": round(job["memory_mb"] / script["memory_mb"], 3),
        "memory_ratio_over_imports": round(job["memory_over_imports_mb"] / script["memory_over_imports_mb"], 3),
        "goal_time": GOAL_TIME,
        "goal_memory": GOAL_MEMORY,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        print(json.dumps(plain() if sys.argv[1] == "plain" else ours(Path(sys.argv[2]))))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
