"""Stands for kernels with an older Landlock: `landlock_3` acts as if this kernel had version 3, `landlock_0` none.

The name is looked up in the child before the sandbox is entered.
"""

from pathlib import Path

from app.core.facts import DatasetFacts
from app.core.tasks import Task
from tests.worker.runtime import performances
from worker.child import Perform, Report
from worker.sandbox import landlock


def __getattr__(name: str) -> Perform:
    version = int(name.removeprefix("landlock_"))
    landlock.version = lambda: version
    return write_here_and_there


def write_here_and_there(task: Task, folder: Path, report: Report) -> DatasetFacts:
    (folder / "outputs" / "here").write_text("written")
    for place in (folder / "there", folder.parent / "there"):
        try:
            place.write_text("written")
        except PermissionError:
            continue
    return performances.FACTS
