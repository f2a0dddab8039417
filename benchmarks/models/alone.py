"""Work in a process that does nothing else, and what it costs there."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.cli.processes import end_with_parent


def alone(work: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    """The answer as `answer`, or why there is none as `failed`; and what `models.measured_process` measured."""
    with TemporaryDirectory() as folder:
        task, outcome = Path(folder, "task"), Path(folder, "outcome")
        task.write_bytes(pickle.dumps((work, arguments)))
        command = [sys.executable, "-m", "models.measured_process", str(task), str(outcome)]
        ended = subprocess.run(command, check=False, preexec_fn=end_with_parent)
        if ended.returncode:
            return {"failed": f"its process ended with {ended.returncode}"}
        told: dict[str, Any] = pickle.loads(outcome.read_bytes())
        return told
