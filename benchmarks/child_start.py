"""Time from the start of a sandboxed child that has torch to its first line, as its parent sees it. One JSON line."""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from app.core.facts import DatasetFacts
from app.core.job_files import DatasetFile
from app.core.messages import Message, Progress
from app.core.tasks import InspectDataset, Task
from worker import forkserver
from worker.child import Report
from worker.children import run_child
from worker.limits import Limits
from worker.sandbox import level

STARTS = 100
LIMITS = Limits(seconds=60, memory_mb=4096, disk_mb=16)
TASK = InspectDataset(dataset=DatasetFile(path="inputs/dataset", format="npz"))


def perform(_task: Task, _folder: Path, report: Report) -> DatasetFacts:
    report(Progress(fraction=0, message="here"))
    return DatasetFacts(arrays={}, task="unlabelled", examples={"train": 0, "test": 0}, classes=None)


def start_one(folder: Path) -> float:
    arrivals: list[float] = []

    def note(_message: Message) -> None:
        arrivals.append(time.perf_counter())

    started = time.perf_counter()
    run_child(
        folder,
        TASK,
        LIMITS,
        on_message=note,
        on_log=lambda _: None,
        on_memory=lambda _: None,
        stop=threading.Event(),
        perform="child_start:perform",
    )
    return (arrivals[0] - started) * 1000


def main() -> None:
    forkserver.prepare()
    with tempfile.TemporaryDirectory() as folder:
        first = start_one(Path(folder))
        samples = sorted(start_one(Path(folder)) for _ in range(STARTS))
    line = {
        "benchmark": "child_start",
        "starts": STARTS,
        "sandbox": level().name,
        "fork_server_start_ms": round(first, 1),
        "p50_ms": round(statistics.median(samples), 1),
        "p99_ms": round(samples[int(STARTS * 0.99)], 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
