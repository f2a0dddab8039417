"""A typed client of the HTTP API.

    with Client("http://127.0.0.1:8000") as client:
        model = client.upload_model("network.pt")
        job = client.submit({"model": model.id, "recipe": {"preset": "fast"}})
        client.download(client.wait(job.id).id, "model.onnx", "out")

Answers are the schemas of `app.core`; a field that a newer service adds is ignored.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter

from app.client_http import ClientProblem, HttpConnection
from app.client_reports import Report, ReportFormat
from app.client_waiting import job_progress, progress_bar, study_progress, wait
from app.core.architectures import Architecture
from app.core.artifacts import Artifact
from app.core.datasets import Dataset
from app.core.events import Event
from app.core.health import Readiness
from app.core.job_options import JobRequest
from app.core.jobs import Job
from app.core.models import Model
from app.core.pages import Page
from app.core.plans.schemas import Plan
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import Study, StudySummary

Item = TypeVar("Item", bound=BaseModel)
Noun = Literal["models", "datasets", "jobs", "studies"]
FilePath = str | os.PathLike[str]

__all__ = ["Client", "ClientProblem", "Noun", "Report", "ReportFormat"]


class Client:
    def __init__(self, url: str, key: str | None = None) -> None:
        self._http = HttpConnection(url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def upload_model(
        self,
        file: FilePath,
        *,
        name: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        inputs: list[dict[str, Any]] | None = None,
    ) -> Model:
        fields = {"name": name, "architecture": _as_json(architecture), "inputs": _as_json(inputs)}
        return _model(self._upload("models", {"file": file}, fields))

    def upload_dataset(
        self, file: FilePath, *, name: str | None = None, transform: Mapping[str, Any] | None = None
    ) -> Dataset:
        """`transform` is for images: size, mean, std."""
        fields = {"name": name, "transform": _as_json(transform)}
        return _parse(Dataset, self._upload("datasets", {"file": file}, fields))

    def submit(self, request: JobRequest | Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        return _parse(Job, self._post("/v1/jobs", request, idempotency_key))

    def plan(self, request: JobRequest | Mapping[str, Any]) -> Plan:
        """What the job would come to. Nothing is queued."""
        return _parse(Plan, self._post("/v1/plans", request, None))

    def submit_files(
        self,
        file: FilePath,
        job: Mapping[str, Any],
        *,
        dataset_file: FilePath | None = None,
        architecture: Mapping[str, Any] | None = None,
        inputs: list[dict[str, Any]] | None = None,
        transform: Mapping[str, Any] | None = None,
    ) -> Job:
        """Model, data and job in one call. `job` names neither model nor data set."""
        files = {"file": file, **({"dataset_file": dataset_file} if dataset_file else {})}
        described = {"job": job, "architecture": architecture, "inputs": inputs, "transform": transform}
        return _parse(Job, self._upload("jobs", files, {name: _as_json(value) for name, value in described.items()}))

    def measure_sensitivity(self, model_id: str, *, dataset: str | None = None, seed: int = 0) -> Job:
        """A job of kind `sensitivity`; its `result` is a `Sensitivity` once it has succeeded."""
        body = {"dataset": dataset, "seed": seed}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return _parse(Job, self._http.send("POST", f"/v1/models/{model_id}/sensitivity", json=body, headers=headers))

    def models(self, limit: int = 20) -> tuple[Model, ...]:
        page = json.loads(self._http.send("GET", "/v1/models", params={"limit": limit}).text)
        return tuple(_model_of(item) for item in page["data"])

    def datasets(self, limit: int = 20) -> tuple[Dataset, ...]:
        return _parse(Page[Dataset], self._http.send("GET", "/v1/datasets", params={"limit": limit})).data

    def jobs(self, limit: int = 20) -> tuple[Job, ...]:
        return _parse(Page[Job], self._http.send("GET", "/v1/jobs", params={"limit": limit})).data

    def model(self, model_id: str) -> Model:
        return _model(self._http.send("GET", f"/v1/models/{model_id}"))

    def dataset(self, dataset_id: str) -> Dataset:
        return _parse(Dataset, self._http.send("GET", f"/v1/datasets/{dataset_id}"))

    def job(self, job_id: str) -> Job:
        return _parse(Job, self._http.send("GET", f"/v1/jobs/{job_id}"))

    def delete(self, noun: Noun, item_id: str) -> None:
        self._http.send("DELETE", f"/v1/{noun}/{item_id}")

    def cancel(self, job_id: str) -> Job:
        return _parse(Job, self._http.send("POST", f"/v1/jobs/{job_id}/cancel"))

    def wait(self, job_id: str, seconds: float | None = None, *, bar: bool = False) -> Job:
        """The job once it is done, however it ended."""
        with progress_bar(job_progress, shown=bar) as show:
            return wait(lambda: show(self.job(job_id)), lambda job: job.done, seconds)

    def wait_for_model(self, model_id: str, seconds: float | None = None) -> Model:
        """The model once it was inspected: `ready` or `rejected`."""
        return wait(lambda: self.model(model_id), lambda model: model.status != "inspecting", seconds)

    def wait_for_dataset(self, dataset_id: str, seconds: float | None = None) -> Dataset:
        """The data set once it was inspected: `ready` or `rejected`."""
        return wait(lambda: self.dataset(dataset_id), lambda dataset: dataset.status != "inspecting", seconds)

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """What happens to a job, as it happens, until it is done. Goes on where it was after a lost connection."""
        return self._http.events(f"/v1/jobs/{job_id}/events", after)

    def submit_study(self, request: StudyRequest | Mapping[str, Any], *, idempotency_key: str | None = None) -> Study:
        return _parse(Study, self._post("/v1/studies", request, idempotency_key))

    def studies(self, limit: int = 20) -> tuple[StudySummary, ...]:
        return _parse(Page[StudySummary], self._http.send("GET", "/v1/studies", params={"limit": limit})).data

    def study(self, study_id: str) -> Study:
        return _parse(Study, self._http.send("GET", f"/v1/studies/{study_id}"))

    def cancel_study(self, study_id: str) -> Study:
        return _parse(Study, self._http.send("POST", f"/v1/studies/{study_id}/cancel"))

    def wait_for_study(self, study_id: str, seconds: float | None = None, *, bar: bool = False) -> Study:
        """The study once all its jobs have ended, however they did."""
        with progress_bar(study_progress, shown=bar) as show:
            return wait(lambda: show(self.study(study_id)), lambda study: study.done, seconds)

    def study_events(self, study_id: str, after: int = 0) -> Iterator[Event]:
        """What happens to a study, as it happens, until it is done."""
        return self._http.events(f"/v1/studies/{study_id}/events", after)

    def study_report(self, study_id: str, media_type: ReportFormat = "text/markdown") -> Report:
        return self._report(f"/v1/studies/{study_id}/report", media_type)

    def artifacts(self, job_id: str) -> tuple[Artifact, ...]:
        answer = self._http.send("GET", f"/v1/jobs/{job_id}/artifacts")
        return _parse(Page[Artifact], answer).data

    def download(self, job_id: str, name: str, folder: FilePath) -> Path:
        """The path of the file in `folder`, whose content was compared with its SHA-256."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        target, partial = folder / name, folder / f".{name}.part"
        digest = hashlib.sha256()
        with self._http.streaming(f"/v1/jobs/{job_id}/artifacts/{name}") as answer, partial.open("wb") as file:
            for chunk in answer.iter_bytes():
                digest.update(chunk)
                file.write(chunk)
        if answer.headers.get("ETag") != f'"sha256-{digest.hexdigest()}"':
            partial.unlink()
            raise ClientProblem("The download is damaged", f"{name} is not what was sent. Try again.", code="damaged")
        return partial.replace(target)

    def report(self, job_id: str, media_type: ReportFormat = "text/markdown") -> Report:
        return self._report(f"/v1/jobs/{job_id}/report", media_type)

    def logs(self, job_id: str) -> str:
        return self._http.send("GET", f"/v1/jobs/{job_id}/logs").text

    def readiness(self) -> Readiness:
        """Also of a service that isn't ready, which answers with 503."""
        return _parse(Readiness, self._http.send_any("GET", "/health/ready"))

    def _report(self, path: str, media_type: ReportFormat) -> Report:
        return Report(self._http.send("GET", path, headers={"Accept": media_type}).text, media_type)

    def _post(self, path: str, body: BaseModel | Mapping[str, Any], key: str | None) -> httpx2.Response:
        document = body.model_dump(mode="json", exclude_none=True) if isinstance(body, BaseModel) else dict(body)
        return self._http.send("POST", path, json=document, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    def _upload(self, noun: Noun, files: Mapping[str, FilePath], fields: Mapping[str, str | None]) -> httpx2.Response:
        given = {name: value for name, value in fields.items() if value is not None}
        paths = {name: Path(file) for name, file in files.items()}
        with ExitStack() as opened:
            parts = {name: (path.name, opened.enter_context(path.open("rb"))) for name, path in paths.items()}
            return self._http.send("POST", f"/v1/{noun}", data=given, files=parts)


def _parse(schema: type[Item], answer: httpx2.Response) -> Item:
    return schema.model_validate_json(answer.text, extra="ignore")


def _model(answer: httpx2.Response) -> Model:
    return _model_of(answer.json())


def _model_of(item: dict[str, Any]) -> Model:
    """A layer's arguments are fields that its schema doesn't know, so the architecture is read by itself."""
    architecture = TypeAdapter(Architecture | None).validate_python(item["architecture"])
    return Model.model_validate(item, extra="ignore").model_copy(update={"architecture": architecture})


def _as_json(value: object) -> str | None:
    return None if value is None else json.dumps(value)
