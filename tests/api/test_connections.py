"""Uploads over a real socket."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import DATASET
from tests.api.live import served

MEBIBYTE = 1 << 20


@pytest.fixture
def small_app(data_dir: Path) -> FastAPI:
    return create_app(Settings(data_dir=data_dir, max_upload_bytes=2 * MEBIBYTE, min_free_bytes=0))


@pytest.fixture
def url(small_app: FastAPI) -> Iterator[str]:
    with served(small_app) as url:
        yield url


def incoming(app: FastAPI) -> list[str]:
    return list(app.state.context.storage.all_keys())


def form_head(length: int) -> bytes:
    return (
        b"POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        + f"Content-Length: {length}\r\n\r\n".encode()
        + b'--b\r\nContent-Disposition: form-data; name="file"; filename="d.npz"\r\n\r\n'
    )


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 80), timeout=20)


def test_a_client_that_goes_away_leaves_nothing_behind(url: str, small_app: FastAPI) -> None:
    with connect(url) as client:
        client.sendall(form_head(2 * MEBIBYTE) + bytes(3 * MEBIBYTE // 2))
        _wait_for(lambda: incoming(small_app) != [])
    _wait_for(lambda: incoming(small_app) == [])


def test_a_client_that_still_sends_hears_why_it_is_refused(url: str, small_app: FastAPI) -> None:
    """The client reads nothing before it has sent everything, as most do."""
    body = bytes(40 * MEBIBYTE)
    with connect(url) as client:
        client.sendall(form_head(len(body)) + body[: len(body) // 2])
        client.sendall(body[len(body) // 2 :])
        answer = client.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert incoming(small_app) == []


def test_a_client_that_asks_before_it_sends_is_spared_the_sending(url: str) -> None:
    head = (
        form_head(40 * MEBIBYTE)
        .partition(b"--b")[0]
        .replace(b"Content-Length", b"Expect: 100-continue\r\nContent-Length")
    )
    with connect(url) as client:
        client.sendall(head)
        began = time.monotonic()
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - began < 5


def test_a_connection_lives_on_after_a_refusal(url: str) -> None:
    with httpx2.Client(base_url=url) as client, DATASET.open("rb") as file:
        assert client.post("/v1/datasets", files={"wrong": file}).status_code == 422
        assert client.get("/v1/datasets").json()["data"] == []


def test_an_upload_is_written_once(url: str) -> None:
    size = DATASET.stat().st_size
    before = _bytes_written()
    with DATASET.open("rb") as file:
        assert httpx2.post(f"{url}/v1/datasets", files={"file": file}).status_code == 201
    assert size <= _bytes_written() - before < 1.5 * size  # the database's own writing counts too


def _bytes_written() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["wchar"])


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.02)
