"""Asking until something is over, with a bar where one is wanted; in a terminal, and in a notebook."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import BaseModel
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from app.client_http import ClientProblem
from app.core.jobs import FINISHED, Job
from app.core.studies.schemas import Study

Item = TypeVar("Item", bound=BaseModel)

POLL_SECONDS = 0.25


def wait(ask: Callable[[], Item], is_over: Callable[[Item], bool], seconds: float | None) -> Item:
    deadline = None if seconds is None else time.monotonic() + seconds
    while not is_over(item := ask()):
        if deadline is not None and time.monotonic() > deadline:
            raise ClientProblem("It took too long", f"It was not over after {seconds} seconds.", code="timeout")
        time.sleep(POLL_SECONDS)
    return item


@contextmanager
def progress_bar(come_to: Callable[[Item], tuple[str, float]], *, shown: bool) -> Iterator[Callable[[Item], Item]]:
    """Give it what was asked for, each time; `come_to` says what is being done, and the fraction that is."""
    with Progress(*bar_columns(), disable=not shown) as progress:
        bar = progress.add_task("", total=1.0)

        def show(item: Item) -> Item:
            message, fraction = come_to(item)
            progress.update(bar, description=message, completed=fraction)
            return item

        yield show


def bar_columns() -> tuple[ProgressColumn, ...]:
    return (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())


def job_progress(job: Job) -> tuple[str, float]:
    return (job.status, 1.0) if job.done else (job.progress.message or job.status, job.progress.fraction)


def study_progress(study: Study) -> tuple[str, float]:
    """A search ends sooner than after all its trials where its seconds are over."""
    if study.done:
        return study.status, 1.0
    ended = sum(point.status in FINISHED for point in study.points)
    wanted = jobs_wanted(study)
    return f"{ended} of {wanted} jobs", ended / max(wanted, 1)


def jobs_wanted(study: Study) -> int:
    """Of a search at most."""
    return len(study.points) if study.request.search is None else study.request.search.trials
