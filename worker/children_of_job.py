"""The children of one job, one after another, under the job's limits taken together."""

import time
from collections.abc import Callable
from dataclasses import replace

from app.core.logs import Logs
from app.core.messages import CheckpointWritten, EpochEnded, Message, Progress, Warn
from app.core.tasks import Answer, Checkpoint, Task
from worker.children import run_child
from worker.failures import TimeLimit
from worker.hold import Hold
from worker.job_folder import JobFolder
from worker.limits import Limits


def _not_kept(_checkpoint: Checkpoint) -> None:
    pass


def _not_watched(_ended: EpochEnded) -> None:
    pass


class ChildrenOfJob:
    def __init__(self, hold: Hold, folder: JobFolder, limits: Limits, logs: Logs, *, allow_unsandboxed: bool) -> None:
        self.hold = hold
        self._folder = folder
        self._limits = limits
        self._logs = logs
        self._allow_unsandboxed = allow_unsandboxed
        self._end_of_time = time.monotonic() + limits.seconds
        self._log_bytes_left = limits.log_bytes
        self.peak_memory_mb = 0.0

    def run(
        self,
        task: Task,
        fraction: float,
        share: float,
        keep: Callable[[Checkpoint], None] = _not_kept,
        watch: Callable[[EpochEnded], None] = _not_watched,
    ) -> Answer:
        """One child, whose progress moves the job's from `fraction` on by `share`; `keep` gets its checkpoints, `watch`
        its epochs.

        Raises a `ChildFailure`.
        """

        def on_message(message: Message) -> None:
            if isinstance(message, Progress):
                self.hold.report(fraction + share * message.fraction, message.step, message.message)
            elif isinstance(message, Warn):
                self.hold.warn(message.message)
            elif isinstance(message, EpochEnded):
                self.hold.report_epoch(message)
                watch(message)
            elif isinstance(message, CheckpointWritten):
                keep(message.checkpoint)

        seconds_left = self._end_of_time - time.monotonic()
        try:
            return run_child(
                self._folder.path,
                task,
                replace(self._limits, seconds=max(0.0, seconds_left), log_bytes=self._log_bytes_left),
                on_message=on_message,
                on_log=self._keep_log,
                on_memory=self._keep_peak,
                stop=self.hold.stop,
                allow_unsandboxed=self._allow_unsandboxed,
            )
        except TimeLimit as limit:
            raise TimeLimit(
                f"It was ended by the time limit of {self._limits.seconds:g} s for the whole job. "
                f"{self._limits.more_seconds}"
            ) from limit

    def _keep_peak(self, memory_mb: float) -> None:
        self.peak_memory_mb = max(self.peak_memory_mb, memory_mb)

    def _keep_log(self, data: bytes) -> None:
        self._log_bytes_left -= len(data)
        self._logs.append(self.hold.claim.job, data)
