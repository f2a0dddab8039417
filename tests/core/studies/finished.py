"""Studies whose jobs end as a test says, without a child."""

from collections.abc import Sequence
from typing import Any

from app.core.database import Database
from app.core.errors import Invalid
from app.core.keys import LOCAL
from app.core.measurements import Comparison, Latency, Measurement, Metric, Quality, Result, Speedup, StepResult
from app.core.queue import Claim, Queue
from app.core.studies import reading
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import Study
from app.core.studies.submitting import submit_study
from tests.core.rows import dataset_row, model_row
from tests.core.test_artifacts import RESULT

PRUNING = {"technique": "magnitude_pruning", "sparsity": 0.5, "criterion": "l2"}
TRAINING = {"technique": "fine_tuning", "epochs": 1}
INT8 = {"technique": "static_quantization"}


def add_material(database: Database) -> None:
    with database.writing() as session:
        session.add_all([model_row(), dataset_row()])


def started(database: Database, *recipes: dict[str, Any], **more: Any) -> Study:
    body = {"model": "model_1", "dataset": "dataset_1", "recipes": recipes, "controls": False, **more}
    return submit_study(database, LOCAL, StudyRequest.model_validate(body))


def steps(*given: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(given)}


def measurement(
    size_bytes: int, milliseconds: float, quality: float | None, metric: Metric = "accuracy"
) -> Measurement:
    judged = Quality(metric=metric, value=quality or 0, examples=100, labelled=True, synthetic=False)
    return Measurement(
        size_bytes=size_bytes,
        parameters=10,
        nonzero_parameters=10,
        macs=size_bytes * 10,
        latency_ms=(Latency(batch_size=1, threads=1, median=milliseconds, p95=milliseconds, samples=(milliseconds,)),),
        peak_memory_mb=None,
        quality=None if quality is None else judged,
    )


def result(
    size_bytes: int,
    speedup: float,
    quality: float | None,
    *,
    noise: float = 1.0,
    metric: Metric = "accuracy",
    before: float = 0.98,
    steps_run: Sequence[StepResult] = (),
) -> Result:
    """Against an upload of 1000 bytes that takes 2 ms where the machine is not `noise` times slower."""
    baseline = measurement(1000, 2.0 * noise, None if quality is None else before, metric)
    compressed = measurement(size_bytes, 2.0 * noise / speedup, quality, metric)
    comparison = Comparison(
        size_ratio=1000 / size_bytes,
        parameter_ratio=1,
        macs_ratio=1,
        speedup=Speedup(median=speedup, ci95=(speedup, speedup), runtime_only=1, compression_only=speedup),
        quality_change=None if quality is None else quality - before,
    )
    found = {"baseline": baseline, "compressed": compressed, "comparison": comparison, "steps": tuple(steps_run)}
    return RESULT.model_copy(update=found)


def claimed(queue: Queue) -> Claim:
    claim = queue.claim(("compress",))
    assert claim is not None
    return claim


def end_in_order(database: Database, queue: Queue, *ends: Result | None) -> None:
    """The oldest job first; None lets it fail."""
    for each in ends:
        claim = claimed(queue)
        if each is None:
            queue.fail(claim, Invalid("It diverged.", code="training_diverged", title="The training diverged"))
        else:
            with database.writing() as session:
                queue.finish(session, claim, "succeeded", result=each.model_dump(mode="json"))


def shown(database: Database, study: Study) -> Study:
    return reading.get(database, LOCAL, study.id)
