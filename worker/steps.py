"""The steps of a recipe, one after another: from the upload on, or from where another child's checkpoint ends."""

import traceback
from pathlib import Path
from time import perf_counter

from app.core.errors import Problem
from app.core.messages import CheckpointWritten
from app.core.recipes import Step
from app.core.tasks import Checkpoint, Compress, StepTiming
from worker.applying import applied
from worker.checkpoints import can_be_kept, is_worth_keeping, read_checkpoint, write_checkpoint
from worker.learning_curve import thinned
from worker.outputs import Outputs
from worker.run import Run


class StepByStep:
    """`network` is as the steps so far have left it, `unquantized` as it was before the first quantize step."""

    def __init__(self, task: Compress, folder: Path, run: Run, outputs: Outputs) -> None:
        self.network = self.unquantized = run.upload
        self.timings: list[StepTiming] = []
        self._steps, self._shared = task.steps, task.shared
        self._folder, self._run, self._outputs = folder, run, outputs
        self._seconds_at_stake = 0.0
        if task.checkpoint is not None:
            self._go_on_from(task.checkpoint)

    @property
    def left(self) -> range:
        """Positions of the steps that are still to be taken."""
        return range(len(self.timings), len(self._steps))

    def take(self, position: int) -> None:
        """The step's file is written with it: a runtime's own quantizer works on that file."""
        step, started = self._steps[position], perf_counter()
        self._run.progress(0.0, f"Applying {step.technique}")
        try:
            # A step that is taken up again must draw the same numbers as in a job that was never lost.
            self.network = applied(step, self.network, self._run, self._run.seed + position)
            self._outputs.add_step(self.network, position)
        except Problem as problem:
            problem.step = position
            raise
        self._note(step, perf_counter() - started)

    def _note(self, step: Step, seconds: float) -> None:
        run = self._run
        told = {"epochs": thinned(run.epochs), "details": run.take_details()}
        self.timings.append(StepTiming(technique=step.technique, seconds=seconds, **told))
        if step.stage != "quantize":
            self.unquantized = self.network
        self._seconds_at_stake += seconds
        wanted = len(self.timings) in self._shared or is_worth_keeping(self._seconds_at_stake)
        if wanted and can_be_kept(self.network):
            self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        files = [file for file in self._outputs.files if file.role in ("step", "artifact")]
        try:
            checkpoint = write_checkpoint(self.network, self._folder, files, self.timings, self._run.warnings)
        except Problem:
            traceback.print_exc()  # the job goes on; it only has further to go if it is lost, and others as far
            return
        self._run.report(CheckpointWritten(checkpoint=checkpoint))
        self._seconds_at_stake = 0.0

    def _go_on_from(self, checkpoint: Checkpoint) -> None:
        try:
            network = read_checkpoint(checkpoint, self._folder, self._steps, self._run.upload)
        except Exception:
            traceback.print_exc()  # what can't be read costs time, not the job
            return
        self.network = self.unquantized = network
        self.timings = list(checkpoint.timings)
        self._outputs.take_over(checkpoint.files, network)
        self._run.warnings += [warning for warning in checkpoint.warnings if warning not in self._run.warnings]
