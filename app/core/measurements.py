"""The numbers of a job's result, with the units that the HTTP contract gives them."""

from typing import Annotated, Literal

from pydantic import Field

from app.core.details import DetailTable
from app.core.instructions import Arithmetic
from app.core.layer_changes import LayerChange
from app.core.schemas import Schema

OutputFormat = Literal["onnx", "torchscript", "state_dict", "exported_program", "openvino"]
QuantizedEngine = Literal["fbgemm", "onednn", "qnnpack", "x86"]
Metric = Literal["accuracy", "mean_squared_error", "agreement"]

MOST_CLASSES = 200


class Energy(Schema):
    """Of one call. `rapl` is what the CPU's own counters say of the whole package, whatever else it does; a `model` is
    the CPU time times an assumed power of a core."""

    millijoules: float
    source: Literal["rapl", "model"]


class Latency(Schema):
    """Milliseconds of wall clock for one call, raw samples kept in the order they were taken.

    `cpu_median` is the CPU time of a call, of all threads together; `examples_per_second` follows from `median`.
    """

    batch_size: int
    threads: int
    median: float
    p95: float
    samples: tuple[float, ...]
    cpu_median: float | None = None
    examples_per_second: float | None = None
    energy: Energy | None = None


class Quality(Schema):
    """`value` is in the metric's own unit (accuracy and agreement as fractions).

    `agreement`, `cosine` and `kl_divergence` compare with the upload's own answers on the same examples. Of labelled
    classes, `top_5` is the fraction whose label is among the five highest scores, where there are more classes, and
    `cross_entropy` the mean in nats.
    """

    metric: Metric
    value: float
    examples: int
    labelled: bool
    synthetic: bool
    agreement: float | None = None
    cosine: float | None = None
    kl_divergence: float | None = None
    top_5: float | None = None
    cross_entropy: float | None = None


class ClassChange(Schema):
    """How many of one class's test examples are met, as fractions, before and after; the interval is of the change,
    and paired."""

    label: int
    examples: int
    before: float
    after: float
    change_ci95: tuple[float, float]


class PairedAnswers(Schema):
    """The upload and a file on the same labelled examples: `lost` were right before and are wrong now, `gained` the
    other way round. `mcnemar_p` is how probable so uneven a split is where neither is better. `classes` are those that
    lost most first, 200 at most.
    """

    lost: int
    gained: int
    mcnemar_p: float
    classes: Annotated[tuple[ClassChange, ...], Field(max_length=MOST_CLASSES)]


class Measurement(Schema):
    """`load_ms` is from the file to something that answers, once the runtime itself is there."""

    size_bytes: int
    parameters: int
    nonzero_parameters: int
    macs: int | None
    latency_ms: tuple[Latency, ...]
    peak_memory_mb: float | None
    quality: Quality | None
    load_ms: float | None = None


class Epoch(Schema):
    """One pass over the training examples: a point of a learning curve.

    `loss` is the mean over the pass. Qualities are in the metric's own unit, `training_quality` on examples that were
    trained on, `validation_quality` on training examples that were held back. `best` says that no epoch before was
    better on validation: the weights of the last such epoch are those that are kept.
    """

    epoch: int = Field(ge=1)
    epochs: int = Field(ge=1, description="Of them at most; training may stop earlier.")
    loss: float
    learning_rate: float
    seconds: float
    metric: Metric | None = None
    training_quality: float | None = None
    validation_quality: float | None = None
    best: bool = True


class StepResult(Schema):
    """`epochs` is the learning curve of a step that trained, in order; a long one is thinned out. `details` is what
    the step says of its own work. `run_by` is the job of the same study that ran it, where that is another one."""

    technique: str
    seconds: float
    run_by: str | None = None
    after: Measurement
    epochs: tuple[Epoch, ...] = ()
    details: tuple[DetailTable, ...] = ()

    @property
    def kept_epoch(self) -> Epoch | None:
        """The one whose weights were kept; None where no epoch was better than the weights from which it began."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)

    @property
    def training_metric(self) -> Metric | None:
        return next((epoch.metric for epoch in self.epochs if epoch.metric), None)

    @property
    def test_quality(self) -> float | None:
        """In the metric of the training: without labels that is agreement, whatever the files are judged by."""
        judged = self.after.quality
        if judged is None:
            return None
        if judged.metric == self.training_metric:
            return judged.value
        return judged.agreement if self.training_metric == "agreement" else None


class Speedup(Schema):
    """`median` = `runtime_only` x `compression_only`; `ci95` is a bootstrap interval of `median`."""

    median: float
    ci95: tuple[float, float]
    runtime_only: float
    compression_only: float


class Comparison(Schema):
    """Ratios are original / compressed; `quality_change` is compressed - baseline, its interval paired by example."""

    size_ratio: float
    parameter_ratio: float
    macs_ratio: float | None
    speedup: Speedup | None
    quality_change: float | None
    quality_change_ci95: tuple[float, float] | None = None
    paired: PairedAnswers | None = None


class Noise(Schema):
    """The upload timed against itself, in the same rounds as all files: on a quiet machine `ci95` contains 1."""

    ratio: float
    ci95: tuple[float, float]


class Verification(Schema):
    """Of a file loaded afresh, against the network that it was written from."""

    loaded: bool
    max_difference: float | None
    cosine: float | None


class ArtifactResult(Schema):
    """`arithmetic` says in what the file computes beside float32 (see `instructions.py`). `engine` is what
    `torch.backends.quantized.engine` was set to before an archive with int8 layers was loaded. `details` is what was
    done to this file alone; what the last step did to the first of the formats is in the step's own."""

    name: str
    format: OutputFormat
    size_bytes: int
    sha256: str
    url: str | None = None
    measured: Measurement
    verified: Verification
    arithmetic: tuple[Arithmetic, ...] = ()
    engine: QuantizedEngine | None = None
    details: tuple[DetailTable, ...] = ()


class Environment(Schema):
    cpu: str
    isa: tuple[str, ...]
    threads: int
    versions: dict[str, str]


class Predicted(Schema):
    """Of the file that would be best. `seconds` are the whole job's, `memory_mb` what its largest process may hold."""

    size_bytes: int
    parameters: int
    nonzero_parameters: int
    macs: int | None
    seconds: float
    memory_mb: float


class PredictedFile(Schema):
    name: str
    format: OutputFormat
    size_bytes: int


class Prediction(Schema):
    """What was expected of a job before it ran."""

    predicted: Predicted
    files: tuple[PredictedFile, ...]

    def size_of(self, name: str) -> int | None:
        return next((file.size_bytes for file in self.files if file.name == name), None)


class Result(Schema):
    """A finished job's `result`. `best` names the artifact that `compressed` measures."""

    baseline: Measurement
    compressed: Measurement
    steps: tuple[StepResult, ...]
    best: str
    comparison: Comparison
    artifacts: tuple[ArtifactResult, ...]
    environment: Environment
    layers: tuple[LayerChange, ...] = ()
    noise: Noise | None = None
    plan: Prediction | None = None
    peak_memory_mb: float | None = Field(
        None, description="The most that one of the job's processes was seen to hold, without mapped files."
    )
    warnings: tuple[str, ...] = Field(())
