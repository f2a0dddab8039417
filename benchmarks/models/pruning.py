"""The trained models at 2x, 4x and 8x less work: quality, size and speed of the files as downloaded, from three seeds.

    make bench-models                                      everything that isn't known yet: hours
    make bench-models MODELS="mnist_cnn cancer_mlp"        some of them
    python -m models.pruning --table                       what is known, as Markdown

Each job goes through a service of its own. Its result is kept; stop it when you like, and start it again.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from operator import itemgetter
from statistics import fmean, stdev
from typing import Any

from models.arguments import parser
from models.kept_results import KeptResults
from models.points import FACTORS, METHODS, SEEDS, Point, Subject, subjects

from app.cli.embedded_service import service_of_a_command
from app.client import Client
from app.core.jobs import Job

COLUMNS = ("fewer", "method", "model (quality)", "quality", "agreement", "file", "MACs", "speed-up", "seeds")
SHOWN = (("quality", 3, ""), ("agreement", 3, ""), ("size_ratio", 1, "x"), ("macs_ratio", 1, "x"), ("speedup", 2, "x"))


def points(chosen: list[Subject]) -> list[Point]:
    combinations = itertools.product(chosen, FACTORS, METHODS, SEEDS)
    return [Point(*combination) for combination in combinations]


class Bench:
    """The facts of each model, and what was measured of it before, are read from `kept`."""

    def __init__(self, kept: KeptResults) -> None:
        self._kept = kept

    def run(self, client: Client, subject: Subject, wanted: list[Point]) -> Iterator[dict[str, Any]]:
        facts = self.facts(subject)
        missing = [point for point in wanted if facts is None or not self._succeeded(point, facts)]
        if not missing:
            return
        model = client.upload_model(subject.file, inputs=subject.inputs).id
        dataset = client.upload_dataset(subject.data).id
        client.wait_for_dataset(dataset)
        found = client.wait_for_model(model).facts
        assert found is not None, f"{subject.name} was refused"
        counts = {"macs": found.macs or 0, "parameters": found.parameters}
        self._kept.keep(self._facts_key(subject), counts)
        for point in missing:
            job = client.submit({"model": model, "dataset": dataset, **point.job(counts)})
            row = outcome(point, client.wait(job.id))
            self._kept.keep(self._key(point, counts), row)
            yield row

    def _succeeded(self, point: Point, facts: dict[str, int]) -> bool:
        return (self._kept.get(self._key(point, facts)) or {}).get("status") == "succeeded"

    def known(self, subject: Subject, wanted: list[Point]) -> list[dict[str, Any]]:
        facts = self.facts(subject)
        found = [(point, self._kept.get(self._key(point, facts))) for point in wanted] if facts else []
        return [row | {"method": point.method} for point, row in found if row is not None]

    def facts(self, subject: Subject) -> dict[str, int] | None:
        return self._kept.get(self._facts_key(subject))

    def _key(self, point: Point, facts: dict[str, int]) -> str:
        return self._kept.key(point.subject.file, point.subject.data, point.job(facts))

    def _facts_key(self, subject: Subject) -> str:
        return self._kept.key(subject.file, subject.data, {})


def outcome(point: Point, job: Job) -> dict[str, Any]:
    line = {
        "benchmark": "models_pruning",
        "model": point.subject.name,
        "factor": point.factor,
        "method": point.method,
        "seed": point.seed,
        "status": job.status,
    }
    if job.result is None:
        return line | {"code": job.error.code if job.error else None}
    compared, quality = job.result.comparison, job.result.compressed.quality
    before = job.result.baseline.quality
    return line | {
        "upload_quality": before.value if before else None,
        "quality": quality.value if quality else None,
        "agreement": quality.agreement if quality else None,
        "size_bytes": job.result.compressed.size_bytes,
        "size_ratio": compared.size_ratio,
        "macs_ratio": compared.macs_ratio,
        "parameter_ratio": compared.parameter_ratio,
        "speedup": compared.speedup.median if compared.speedup else None,
        "seconds": sum(step.seconds for step in job.result.steps),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for (model, factor, method), same in itertools.groupby(rows, itemgetter("model", "factor", "method")):
        yield f"| {' | '.join((f'{factor}x', method, *_cells(model, list(same))))} |"


def _cells(model: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    done = [row for row in rows if row["status"] == "succeeded"]
    yield f"{model} ({done[0]['upload_quality']:.3f})" if done else model
    for column, digits, unit in SHOWN:
        yield _spread([row[column] for row in done], digits, unit)
    yield f"{len(done)} of {len(rows)}"


def _spread(values: list[float | None], digits: int, unit: str = "") -> str:
    """The mean, and the standard deviation over seeds."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "-"
    width = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{fmean(numbers):.{digits}f}{unit}{width}"


def arguments() -> argparse.Namespace:
    told = parser(__doc__, "models_pruning")
    told.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    return told.parse_args()


def main() -> None:
    options = arguments()
    chosen = [one for one in subjects(options.folder) if one.name in options.models or not options.models]
    wanted = [point for point in points(chosen) if point.seed in options.seeds]
    bench = Bench(KeptResults(options.results))
    if not options.table:
        with service_of_a_command() as service, Client(service.url) as client:
            for subject in chosen:
                for row in bench.run(client, subject, [point for point in wanted if point.subject == subject]):
                    print(json.dumps(row), flush=True)
    rows = [row for one in chosen for row in bench.known(one, [point for point in wanted if point.subject == one])]
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
