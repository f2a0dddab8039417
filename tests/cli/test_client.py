import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.api.context import Context
from app.client import Client, ClientProblem, Report
from app.core.tables import ArtifactRow
from tests.api.conftest import ARCHITECTURE, DATASET, STATE_DICT, TORCHSCRIPT
from tests.api.live import served

QUANTIZE = {"steps": [{"technique": "static_quantization"}]}


def test_uploads_come_back_as_what_the_service_keeps(client: Client) -> None:
    model = client.upload_model(TORCHSCRIPT, name="digits")
    dataset = client.upload_dataset(DATASET)
    assert (model.name, model.status, model.size_bytes) == ("digits", "inspecting", TORCHSCRIPT.stat().st_size)
    assert client.model(model.id) == model
    assert [client.models(), client.datasets()] == [(model,), (dataset,)]


def test_an_architecture_keeps_the_arguments_of_its_layers(client: Client) -> None:
    architecture = json.loads(ARCHITECTURE.read_text())
    model = client.upload_model(STATE_DICT, architecture=architecture)
    for seen in (model, client.model(model.id), client.models()[0]):
        assert seen.architecture is not None
        assert seen.architecture.layers[0].model_dump()["out_channels"] == 32


def test_a_refusal_carries_the_problem(client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pt"
    empty.touch()
    with pytest.raises(ClientProblem) as refused:
        client.upload_model(empty)
    assert refused.value.status == 422
    assert refused.value.title
    assert refused.value.detail
    assert client.models() == ()


def test_an_address_where_nothing_answers_is_named() -> None:
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ClientProblem, match=r"127\.0\.0\.1:9") as problem:
        nobody.jobs()
    assert problem.value.code == "unreachable"


def test_one_call_sends_model_data_and_job(client: Client) -> None:
    job = client.submit_files(TORCHSCRIPT, {"recipe": QUANTIZE}, dataset_file=DATASET)
    assert job.model == client.models()[0].id
    assert job.dataset == client.datasets()[0].id


def test_a_job_can_be_submitted_waited_for_and_canceled(client: Client, model: str, dataset: str) -> None:
    job = client.submit({"model": model, "dataset": dataset, "recipe": QUANTIZE})
    began = time.monotonic()
    with pytest.raises(ClientProblem, match="not over after 0 seconds"):
        client.wait(job.id, seconds=0)
    assert time.monotonic() - began < 5
    assert client.cancel(job.id).status == "canceled"
    assert client.wait(job.id).done


def test_the_same_key_makes_one_job(client: Client, model: str, dataset: str) -> None:
    request = {"model": model, "dataset": dataset, "recipe": QUANTIZE}
    first, second = (client.submit(request, idempotency_key="k") for _ in range(2))
    assert first.id == second.id
    assert client.submit(request).id != first.id


def test_a_finished_job_gives_its_files_and_its_report(client: Client, finished_job: str, tmp_path: Path) -> None:
    names = {artifact.name for artifact in client.artifacts(finished_job)}
    paths = [client.download(finished_job, name, tmp_path / "got") for name in names]
    assert {path.name: path.read_text() for path in paths} == {name: f"this is {name}" for name in names}
    assert sorted((tmp_path / "got").iterdir()) == sorted(paths)
    assert client.report(finished_job) == "this is report.md"
    assert client.report(finished_job, "text/html") == "this is report.html"


def test_a_bar_is_shown_while_a_job_is_waited_for(
    client: Client, finished_job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.wait(finished_job).done
    assert capsys.readouterr().out == ""
    assert client.wait(finished_job, bar=True).done
    assert "succeeded" in capsys.readouterr().out


def test_a_bar_of_a_study_counts_its_jobs(
    client: Client, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = client.submit_study({"model": model, "dataset": dataset, "recipes": [QUANTIZE], "controls": False})
    with pytest.raises(ClientProblem, match="not over"):
        client.wait_for_study(study.id, seconds=0, bar=True)
    assert "0 of 1 jobs" in capsys.readouterr().out


def test_a_notebook_shows_a_report_in_a_frame_of_its_own(client: Client, finished_job: str) -> None:
    page = client.report(finished_job, "text/html")
    shown = page._repr_mimebundle_()["text/html"]
    assert 'srcdoc="this is report.html"' in shown
    assert 'sandbox="allow-scripts"' in shown
    assert client.report(finished_job)._repr_mimebundle_()["text/markdown"] == "this is report.md"


def test_a_report_cannot_leave_its_frame() -> None:
    shown = Report('"></iframe><script>', "text/html")._repr_mimebundle_()["text/html"]
    assert "<script>" not in shown
    assert '""' not in shown


def test_paths_may_be_text(client: Client, finished_job: str, tmp_path: Path) -> None:
    assert client.upload_dataset(str(DATASET)).size_bytes == DATASET.stat().st_size
    assert client.download(finished_job, "model.onnx", str(tmp_path)).read_text() == "this is model.onnx"


def test_a_damaged_download_is_noticed_and_not_kept(
    client: Client, context: Context, finished_job: str, tmp_path: Path
) -> None:
    with context.database.reading() as session:
        row = session.get(ArtifactRow, (finished_job, "model.onnx"))
    assert row is not None
    stored = context.storage.path(row.file_key)
    stored.chmod(0o600)
    stored.write_text("THIS is model.onnx")
    with pytest.raises(ClientProblem, match="damaged"):
        client.download(finished_job, "model.onnx", tmp_path / "got")
    assert list((tmp_path / "got").iterdir()) == []


def test_events_end_with_the_job(client: Client, finished_job: str) -> None:
    types = [event.type for event in client.events(finished_job)]
    assert types[0] == "queued"
    assert types[-1] == "succeeded"
    later = [event.type for event in client.events(finished_job, after=next(client.events(finished_job)).id)]
    assert later == types[1:]


def test_events_go_on_after_a_lost_connection() -> None:
    asked_from: list[str | None] = []
    events = FastAPI()

    @events.get("/v1/jobs/job_1/events")
    async def stream(request: Request) -> StreamingResponse:
        asked_from.append(request.headers["Last-Event-ID"])
        return StreamingResponse(_stream(lost=len(asked_from) == 1), media_type="text/event-stream")

    with served(events) as url, Client(url) as client:
        assert [event.id for event in client.events("job_1")] == [1, 2]
    assert asked_from == ["0", "1"]


async def _stream(*, lost: bool) -> AsyncIterator[str]:
    number = 1 if lost else 2
    data = {"id": number, "type": "progress", "time": "2026-01-01T00:00:00Z", "data": {}}
    yield f"id: {number}\nevent: progress\ndata: {json.dumps(data)}\n\n"
    if lost:
        raise ConnectionResetError
    yield "event: done\ndata: {}\n\n"


def test_a_field_that_a_newer_service_adds_is_ignored(client: Client, finished_job: str) -> None:
    known = client.job(finished_job)
    newer = FastAPI()

    @newer.get("/v1/jobs/{job_id}")
    def job(job_id: str) -> dict[str, Any]:
        answer = known.model_dump(mode="json")
        return {**answer, "priority": 3, "progress": {**answer["progress"], "eta": 7}}

    with served(newer) as url, Client(url) as other:
        assert other.job(finished_job) == known
