"""What a child is given to do, one `task.json`, and what it answers. What it says meanwhile: see `messages.py`.

A job's folder:

    task.json              a Task
    inputs/                the upload and the data set, read-only for the child
    outputs/               the only place where the child may write

A compress job runs several children, one after another, over the same folder: `compress` writes the files,
one `measure` for each file loads it afresh, and `time` runs all of them interleaved in one process. A trial of a search
has one `judge` for all files in place of the many `measure`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from app.core.details import MOST_TABLES, DetailTable
from app.core.errors import ProblemBody
from app.core.facts import DatasetFacts, ModelInspection
from app.core.inputs import Inputs, InputSpec
from app.core.instructions import Arithmetic
from app.core.job_files import DatasetFile, InFolder, ModelFile
from app.core.layer_changes import MOST_LAYERS, LayerChange
from app.core.measurements import (
    Environment,
    Epoch,
    Latency,
    OutputFormat,
    PairedAnswers,
    Quality,
    QuantizedEngine,
    Verification,
)
from app.core.recipes import Step
from app.core.schemas import Schema
from app.core.sensitivities import Sensitivity


class MeasureOptions(Schema):
    """How a job measures latency; `repeats` null lets the service choose by time."""

    threads: int = Field(1, ge=1, le=64)
    batch_sizes: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field((1,), min_length=1, max_length=8)
    repeats: int | None = Field(None, ge=5, le=10_000)


class InspectModel(Schema):
    kind: Literal["inspect_model"] = "inspect_model"
    model: ModelFile
    dataset: DatasetFile | None = None


class InspectDataset(Schema):
    kind: Literal["inspect_dataset"] = "inspect_dataset"
    dataset: DatasetFile


class Compress(Schema):
    """Load the upload, apply the steps, write every file into `outputs/`. Answers with a `Compression`.

    `models` are those that steps name, by their ids. Where there are `candidates`, they are written in place of one
    file for each of `outputs`. The steps go on from the `checkpoint` of another child; after as many of them as are
    `shared`, others will go on.
    """

    kind: Literal["compress"] = "compress"
    model: ModelFile
    models: dict[str, ModelFile] = {}
    dataset: DatasetFile | None
    steps: tuple[Step, ...]
    outputs: tuple[OutputFormat, ...]
    candidates: tuple["Candidate", ...] = ()
    seed: int
    checkpoint: "Checkpoint | None" = None
    shared: tuple[int, ...] = ()


class Candidate(Schema):
    """A file to try: what the recipe has left, with these steps too, as `model.PRECISION.FORMAT`."""

    precision: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    output: OutputFormat
    steps: tuple[Step, ...]


MOST_EPOCHS_KEPT = 500

Role = Literal["upload", "uncompressed", "step", "artifact"]


class WrittenFile(Schema):
    """A file that `compress` wrote (or the upload itself, role `upload`).

    `path` is relative to the job's folder, `companions` too. `counts` are of the network that the file was
    written from. `probe` is an .npz in `outputs/` with inputs and that network's answers. `engine` is the one of
    torch's that runs an archive of int8 layers fastest here: it has to be set before the archive is loaded. `details`
    are what was said while it was written; where that was with the last step, the step has them.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)
    path: InFolder
    companions: tuple[InFolder, ...] = ()
    format: OutputFormat
    role: Role
    step: int | None = None
    quantized: bool = False
    precision: str | None = Field(None, description="Of a file that was tried beside others.")
    engine: QuantizedEngine | None = None
    details: tuple[DetailTable, ...] = Field((), max_length=MOST_TABLES)
    parameters: int
    nonzero_parameters: int
    macs: int | None
    probe: InFolder | None = None

    def paths(self) -> frozenset[str]:
        return frozenset({self.path, *self.companions, *([self.probe] if self.probe else [])})

    def moved(self, places: Mapping[str, str]) -> "WrittenFile":
        """The same file, at the places that its paths have in `places`."""
        return self.model_copy(
            update={
                "path": places[self.path],
                "companions": tuple(places[companion] for companion in self.companions),
                "probe": self.probe and places[self.probe],
            }
        )


class StepTiming(Schema):
    """What a step did, apart from the file that it left. `run_by` is another job that ran it, in place of this one."""

    technique: str
    seconds: float
    run_by: str | None = Field(None, max_length=40)
    epochs: tuple[Epoch, ...] = Field((), max_length=MOST_EPOCHS_KEPT)
    details: tuple[DetailTable, ...] = Field((), max_length=MOST_TABLES)


class Compression(Schema):
    """`inputs` are those that the upload was run with, from its sender, the data set or a guess. Files that keep its
    `own_forward` take all of them; in rebuilt ones plain numbers are fixed."""

    inputs: Inputs
    own_forward: bool = False
    files: tuple[WrittenFile, ...]
    steps: tuple[StepTiming, ...]
    layers: tuple[LayerChange, ...] = Field((), max_length=MOST_LAYERS)
    warnings: tuple[str, ...] = ()


class Checkpoint(Schema):
    """How far a compress task came: what its child had when it had taken so many steps, for another to go on from.

    `weights` and `description` are of the network, `names` of its modules and tensors in their order; `files` those of
    steps; `timings` and `warnings` of all steps so far.
    """

    steps_done: int = Field(ge=1)
    weights: InFolder
    description: InFolder
    names: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    files: tuple[WrittenFile, ...] = Field(min_length=1)
    timings: tuple[StepTiming, ...]
    warnings: tuple[str, ...]

    def paths(self) -> frozenset[str]:
        return frozenset({self.weights, self.description}).union(*(file.paths() for file in self.files))

    def run_by(self, job: str) -> "Checkpoint":
        """The same for another job: what that one didn't take over itself was run by `job`."""
        timings = tuple(each.model_copy(update={"run_by": each.run_by or job}) for each in self.timings)
        return self.model_copy(update={"timings": timings})

    def moved(self, places: Mapping[str, str]) -> "Checkpoint":
        moved = {name: places[getattr(self, name)] for name in ("weights", "description")}
        return self.model_copy(update={**moved, "files": tuple(file.moved(places) for file in self.files)})


class Measure(Schema):
    """Load one file in this fresh process, compare it with its probe, measure quality and memory."""

    kind: Literal["measure"] = "measure"
    model: ModelFile
    dataset: DatasetFile | None
    file: WrittenFile
    seed: int


class FileMeasurement(Schema):
    """`quality_change_ci95` is of the change against the upload's answers to the same examples. `sample` is an .npz of
    `input.NAME` and `output.NUMBER`: a few examples with this file's own answers. Of weights without a network there is
    only `verified`."""

    name: str
    verified: Verification
    quality: Quality | None
    quality_change_ci95: tuple[float, float] | None = None
    peak_memory_mb: float | None = None
    load_ms: float | None = None
    paired: PairedAnswers | None = None
    nonzero_parameters: int | None = None
    arithmetic: tuple[Arithmetic, ...] = ()
    sample: InFolder | None = None
    warnings: tuple[str, ...] = ()


class Judge(Schema):
    """Do with each of the files, the upload first, what `Measure` does with one, all in this process; but memory and
    the time of loading aren't told, which takes a process for each."""

    kind: Literal["judge"] = "judge"
    model: ModelFile
    dataset: DatasetFile | None
    files: tuple[WrittenFile, ...]
    seed: int


class Judged(Schema):
    """Each file by its name is either among those `found` or, with what is wrong with it, among those `refused`."""

    found: tuple[FileMeasurement, ...]
    refused: dict[str, ProblemBody] = {}


class Time(Schema):
    """Run all files interleaved in one process. The order of `files` doesn't matter; without any, the answer is only
    about the machine. `brief` asks for fewer rounds where `measure` doesn't say how many."""

    kind: Literal["time"] = "time"
    model: ModelFile
    files: tuple[WrittenFile, ...]
    measure: MeasureOptions
    seed: int
    brief: bool = False


class Timings(Schema):
    """By file name: one `Latency` for each batch size. `rounds` are interleaved, so sample i of every file is
    of the same round. `again` is the upload once more, at the first batch size, in the same rounds."""

    latencies: dict[str, tuple[Latency, ...]]
    again: Latency | None = None
    environment: Environment
    warnings: tuple[str, ...] = ()


class MeasureSensitivity(Schema):
    """Change one layer at a time and look at the answers. Answers with a `Sensitivity`; after `seconds` with what it
    has by then."""

    kind: Literal["sensitivity"] = "sensitivity"
    model: ModelFile
    dataset: DatasetFile | None
    seed: int
    seconds: float


Task = Annotated[
    InspectModel | InspectDataset | Compress | Measure | Judge | Time | MeasureSensitivity,
    Field(discriminator="kind"),
]
TASK: TypeAdapter[Task] = TypeAdapter(Task)

Answer = ModelInspection | DatasetFacts | Compression | FileMeasurement | Judged | Timings | Sensitivity
ANSWERS: dict[str, type[Schema]] = {
    "inspect_model": ModelInspection,
    "inspect_dataset": DatasetFacts,
    "compress": Compression,
    "measure": FileMeasurement,
    "judge": Judged,
    "time": Timings,
    "sensitivity": Sensitivity,
}
