"""Written files that don't load, or don't answer as they should: what a job delivers without them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.core.errors import Problem
from app.core.measurements import OutputFormat, Verification
from app.core.result_warnings import left_out
from app.core.tasks import Compression, FileMeasurement, WrittenFile
from app.core.wanted_files import SUFFIXES


@dataclass(frozen=True)
class Refusal:
    file: WrittenFile
    problem: Problem

    @property
    def is_of_the_format(self) -> bool:
        """Whether nothing else of its format can be delivered: it is what the recipe was to give, or the network as it
        was uploaded, beside which the others are judged."""
        return self.file.role == "uncompressed" or self.file.name == f"model{SUFFIXES[self.file.format]}"

    def warning(self) -> str:
        if self.file.role == "step":
            return f"What step {self.file.step} left was not measured. {self.problem.detail}"
        return left_out(self.file.format if self.is_of_the_format else self.file.name, self.problem)


def without_refused(compression: Compression, refusals: Sequence[Refusal]) -> Compression:
    """With a warning for each. The file of a step that others follow stays: the report has a row for it.

    Raises the first of the problems where no artifact is left.
    """
    paths = {refusal.file.path for refusal in refusals}
    formats = {refusal.file.format for refusal in refusals if refusal.is_of_the_format}
    last = len(compression.steps) - 1
    kept = tuple(file for file in compression.files if _is_kept(file, paths, formats, last))
    if refusals and not any(file.role == "artifact" for file in kept):
        raise refusals[0].problem
    told = (refusal.warning() for refusal in refusals)
    return compression.model_copy(update={"files": kept, "warnings": (*compression.warnings, *told)})


def _is_kept(file: WrittenFile, refused: Collection[str], formats: Collection[OutputFormat], last: int) -> bool:
    if file.path in refused:
        return file.role == "step" and file.step != last
    return file.role not in ("artifact", "uncompressed") or file.format not in formats


def unread(file: WrittenFile) -> FileMeasurement:
    """What is known of a refused file that stays."""
    return FileMeasurement(
        name=file.name, verified=Verification(loaded=False, max_difference=None, cosine=None), quality=None
    )
