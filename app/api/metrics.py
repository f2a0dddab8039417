"""/metrics for Prometheus, computed from the database when it is asked for."""

from collections.abc import Iterator

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.api.answers import text_of
from app.api.context import Context, ContextDependency, get_caller
from app.api.problems import error_responses
from app.core import workers
from app.core.health import storage_health
from app.core.statistics import Statistics, statistics

router = APIRouter(tags=["health"], dependencies=[Depends(get_caller)])


@router.get(
    "/metrics",
    summary="Show metrics",
    response_class=Response,
    responses={200: text_of("text/plain"), **error_responses()},
)
def show_metrics(context: ContextDependency) -> Response:
    """In the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(ServiceCollector(context))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class ServiceCollector(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        numbers = statistics(self._context.database)
        yield from _jobs(numbers)
        yield _labelled("modelpress_models", "Models by status.", "status", numbers.models)
        yield _labelled("modelpress_datasets", "Data sets by status.", "status", numbers.datasets)
        yield _labelled("modelpress_stored_bytes", "Bytes of stored files.", "table", numbers.stored_bytes)
        worker = workers.latest(self._context.database)
        yield GaugeMetricFamily(
            "modelpress_worker_up", "Whether a worker is alive.", float(bool(worker and worker.alive))
        )
        free = storage_health(self._context.storage, self._context.settings).free_bytes
        yield GaugeMetricFamily("modelpress_disk_free_bytes", "Free space where files are stored.", free)


def _jobs(numbers: Statistics) -> Iterator[Metric]:
    count = GaugeMetricFamily("modelpress_jobs", "Jobs by kind and status.", labels=["kind", "status"])
    seconds = GaugeMetricFamily(
        "modelpress_job_run_seconds", "Time that finished jobs took, summed.", labels=["kind", "status"]
    )
    for group in numbers.jobs:
        count.add_metric([group.kind, group.status], group.count)
        seconds.add_metric([group.kind, group.status], group.run_seconds)
    yield count
    yield seconds
    yield GaugeMetricFamily(
        "modelpress_oldest_queued_job_seconds", "Age of the oldest queued job.", numbers.oldest_queued_seconds
    )


def _labelled(name: str, documentation: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
