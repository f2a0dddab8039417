"""Latency of submitting and of claiming a job, with 1, 4 and 8 processes that write at once. One JSON line."""

import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from app.core import jobs
from app.core.database import Database
from app.core.queue import Queue
from app.core.settings import Settings

OPERATIONS = 200


def submit(database: Database, _queue: Queue) -> None:
    with database.writing() as session:
        jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None))


def claim(_database: Database, queue: Queue) -> None:
    assert queue.claim(("compress",)) is not None


def run(folder: Path, operation: Callable[[Database, Queue], None], results: "multiprocessing.Queue[float]") -> None:
    settings = Settings(data_dir=folder)
    database = Database(settings.url)
    queue = Queue(database, settings, f"worker-{multiprocessing.current_process().name}")
    for _ in range(OPERATIONS):
        started = time.perf_counter()
        operation(database, queue)
        results.put((time.perf_counter() - started) * 1000)


def measure(folder: Path, operation: Callable[[Database, Queue], None], writers: int) -> dict[str, float]:
    results: multiprocessing.Queue[float] = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=run, args=(folder, operation, results)) for _ in range(writers)]
    for process in processes:
        process.start()
    samples = sorted(results.get() for _ in range(writers * OPERATIONS))
    for process in processes:
        process.join()
    return {
        "p50_ms": round(statistics.median(samples), 2),
        "p99_ms": round(samples[int(len(samples) * 0.99)], 2),
    }


def main() -> None:
    line: dict[str, object] = {"benchmark": "queue_latency", "operations_per_writer": OPERATIONS}
    for writers in (1, 4, 8):
        with tempfile.TemporaryDirectory() as folder:
            Database(Settings(data_dir=Path(folder)).url).migrate()
            line[f"submit_{writers}_writers"] = measure(Path(folder), submit, writers)
            line[f"claim_{writers}_writers"] = measure(Path(folder), claim, writers)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
