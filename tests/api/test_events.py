import json
import threading
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api import event_streams
from app.api.context import Context
from app.core import jobs
from app.core.keys import LOCAL
from app.core.queue import Queue
from app.core.tables import JobRow
from tests.api.live import served

STREAM = {"Accept": "text/event-stream"}


def parse(stream: str) -> list[tuple[str, str, Any]]:
    """(event, id, data) of each message; comments are left out."""
    messages = []
    for block in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            messages.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return messages


@pytest.fixture
def canceled_job(client: TestClient, model: str) -> str:
    job = client.post("/v1/jobs", json={"model": model, "recipe": {"preset": "fast"}}).json()
    client.post(job["urls"]["cancel"])
    return job["id"]


def test_events_are_listed_from_the_first_on(client: TestClient, canceled_job: str) -> None:
    whole = client.get(f"/v1/jobs/{canceled_job}/events").json()
    assert [event["type"] for event in whole["data"]] == ["queued", "canceled"]
    first = client.get(f"/v1/jobs/{canceled_job}/events", params={"limit": 1}).json()
    assert (first["data"], first["has_more"]) == (whole["data"][:1], True)
    rest = client.get(f"/v1/jobs/{canceled_job}/events", params={"after": first["data"][0]["id"]}).json()
    assert (rest["data"], rest["has_more"]) == (whole["data"][1:], False)


def test_a_finished_job_is_streamed_to_its_end(client: TestClient, canceled_job: str) -> None:
    answer = client.get(f"/v1/jobs/{canceled_job}/events", headers=STREAM)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    messages = parse(answer.text)
    assert [event for event, _, _ in messages] == ["queued", "canceled", "done"]
    assert messages[-1][2]["status"] == "canceled"
    assert all(data["id"] == int(identifier) for _, identifier, data in messages[:-1])


def test_a_stream_resumes_after_the_last_event_that_was_seen(client: TestClient, canceled_job: str) -> None:
    address = f"/v1/jobs/{canceled_job}/events"
    whole = parse(client.get(address, headers=STREAM).text)
    resumed = parse(client.get(address, headers={**STREAM, "Last-Event-ID": whole[0][1]}).text)
    assert resumed == whole[1:]
    ended = parse(client.get(address, headers={**STREAM, "Last-Event-ID": whole[-1][1]}).text)
    assert ended == whole[-1:]
    assert parse(client.get(address, headers={**STREAM, "Last-Event-ID": "odd"}).text) == whole


def test_an_unknown_job_has_no_stream(client: TestClient) -> None:
    assert client.get("/v1/jobs/job_nope/events", headers=STREAM).status_code == 404


def test_a_stream_follows_a_running_job(
    app: FastAPI, context: Context, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.3)
    queue = Queue(context.database, context.settings, "worker-1")
    with context.database.writing() as session:
        job = jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None)).id
    claim = queue.claim(("compress",))
    assert claim is not None

    def end_the_job() -> None:
        queue.report(claim, 0.5, None, "half")
        jobs.cancel(context.database, LOCAL, job)
        queue.cancel(claim)

    lines = []
    with served(app) as url, httpx2.stream("GET", f"{url}/v1/jobs/{job}/events", headers=STREAM, timeout=20) as answer:
        for line in answer.iter_lines():
            if line == ": ping" and line not in lines:
                end_the_job()
            lines.append(line)
    assert [event for event, _, _ in parse("\n".join(lines))] == [
        "queued", "started", "progress", "canceling", "canceled", "done",
    ]  # fmt: skip


def test_a_stream_ends_where_its_job_is_deleted(
    app: FastAPI, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.3)
    with context.database.writing() as session:
        job = jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None)).id
    lines = []
    with served(app) as url, httpx2.stream("GET", f"{url}/v1/jobs/{job}/events", headers=STREAM, timeout=20) as answer:
        for line in answer.iter_lines():
            if line == ": ping" and line not in lines:
                with context.database.writing() as session:
                    session.delete(session.get(JobRow, job))
            lines.append(line)
    assert [event for event, _, _ in parse("\n".join(lines))] == ["queued"]


def test_a_stream_of_a_job_that_goes_on_ends_when_the_service_is_asked_to_end(
    app: FastAPI, client: TestClient, model: str
) -> None:
    job = client.post("/v1/jobs", json={"model": model, "recipe": {"preset": "fast"}}).json()
    context: Context = app.state.context
    timer = threading.Timer(0.3, context.stopping.set)
    timer.start()
    answer = client.get(job["urls"]["events"], headers=STREAM)
    assert [event for event, _, _ in parse(answer.text)] == ["queued"]
