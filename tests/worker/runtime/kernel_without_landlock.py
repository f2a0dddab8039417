"""Stands for an older kernel: imported in the child before the sandbox is entered."""

from pathlib import Path

from app.core.facts import DatasetFacts
from app.core.tasks import Task
from tests.worker.runtime import performances
from worker.child import Report
from worker.sandbox import landlock

landlock.version = lambda: 0


def perform(task: Task, folder: Path, report: Report) -> DatasetFacts:
    return performances.FACTS
