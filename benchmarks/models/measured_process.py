"""The other end of `alone`: seconds of CPU and the largest resident memory of one piece of work.

python -m models.measured_process TASK OUTCOME

Nothing is imported but what the work's own module imports, which counts as it does for whoever runs it.
"""

import pickle
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from support.memory import memory_mb


def measured(task: bytes) -> dict[str, Any]:
    work, arguments = pickle.loads(task)
    imported, started = time.process_time(), time.perf_counter()
    try:
        outcome = {"answer": work(*arguments)}
    except Exception as error:  # a peer that fails is a result, too
        traceback.print_exc()
        outcome = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    return {
        **outcome,
        "import_seconds": round(imported, 2),
        "cpu_seconds": round(time.process_time(), 2),
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mb": round(memory_mb("self", "VmHWM")),
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(pickle.dumps(measured(Path(sys.argv[1]).read_bytes())))
