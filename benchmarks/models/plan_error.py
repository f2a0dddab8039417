"""How far predictions of jobs are off: the median of |predicted - measured| / measured, over 24 jobs on small networks.

    make bench-plans

Time is predicted from the jobs before, as in any service: the first ones have only the usual rates.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from models.points import subjects

from app.cli.embedded_service import service_of_a_command
from app.client import Client
from app.core.jobs import Job
from app.core.measurements import Result
from app.core.reports.predictions import off_by

MODELS = ("cancer_mlp", "mnist_mlp", "mnist_cnn", "vowels_lstm")
TRAIN = {"technique": "fine_tuning", "epochs": 2, "early_stop": False}
RECIPES = (
    [{"technique": "magnitude_pruning", "sparsity": 0.8}],
    [{"technique": "structured_pruning", "ratio": 0.5}, TRAIN],
    [{"technique": "structured_pruning", "ratio": 0.3, "scope": "layer"}, TRAIN, {"technique": "dynamic_quantization"}],
    [{"technique": "low_rank_factorization"}],
    [{"technique": "static_quantization"}],
    [{"technique": "weight_quantization", "bits": 4}],
)
SECONDS = 600


def main() -> None:
    errors: dict[str, list[float]] = {"size": [], "parameters": [], "macs": [], "time": [], "memory": []}
    with service_of_a_command() as service, Client(service.url) as client:
        for subject in (each for each in subjects(Path(".models")) if each.name in MODELS):
            model, dataset = client.upload_model(subject.file), client.upload_dataset(subject.data)
            for steps in RECIPES:
                request = {"model": model.id, "dataset": dataset.id, "recipe": {"steps": steps}}
                job = client.wait(client.submit(request).id, SECONDS)
                assert isinstance(job.result, Result), job.error
                for what, error in _errors(job.result, _seconds(job)):
                    errors[what].append(abs(error))
    print(json.dumps({"jobs": len(errors["time"]), **{what: round(median(of), 3) for what, of in errors.items()}}))


def _seconds(job: Job) -> float:
    assert job.started_at is not None
    assert job.finished_at is not None
    return (job.finished_at - job.started_at).total_seconds()


def _errors(result: Result, seconds: float) -> Iterator[tuple[str, float]]:
    assert result.plan is not None
    told, found = result.plan.predicted, result.compressed
    for artifact in result.artifacts:
        size = result.plan.size_of(artifact.name)
        if size is not None:
            yield "size", off_by(size, artifact.measured.size_bytes)
    yield "parameters", off_by(told.parameters, found.parameters)
    if told.macs is not None and found.macs is not None:
        yield "macs", off_by(told.macs, found.macs)
    yield "time", off_by(told.seconds, seconds)
    assert result.peak_memory_mb is not None
    yield "memory", off_by(told.memory_mb, result.peak_memory_mb)


if __name__ == "__main__":
    main()
