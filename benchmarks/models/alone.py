"""What one piece of work costs: seconds of CPU and the largest resident memory, in a process that does nothing else."""

import multiprocessing
import time
import traceback
from collections.abc import Callable
from typing import Any

from support.running_service import memory_mb

from app.cli.processes import end_with_parent


def alone(work: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    """With the answer as `answer`, or why there is none as `failed`. Imports count, as they do for whoever runs it."""
    with multiprocessing.get_context("spawn").Pool(1, initializer=end_with_parent) as pool:
        return pool.apply(_measured, (work, arguments))


def _measured(work: Callable[..., Any], arguments: tuple[object, ...]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        outcome = {"answer": work(*arguments)}
    except Exception as error:  # a peer that fails is a result, too
        traceback.print_exc()
        outcome = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    return {
        **outcome,
        "cpu_seconds": round(time.process_time(), 2),
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mb": round(memory_mb("self", "VmHWM")),
    }
