"""The proxy of docker-compose.yml, in front of an API or of nothing. Needs nginx (or its path in NGINX_PROGRAM)."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from app.api.problems import ProblemDocument
from app.core.settings import Settings
from app.main import create_app
from tests.api.live import served
from tests.api.test_uploads import part

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NGINX = os.environ.get("NGINX_PROGRAM") or shutil.which("nginx")
Proxy = Callable[[int], str]

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx isn't installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Starts it before the API at a port, with the configuration as it is delivered but for addresses and folders."""
    started: list[subprocess.Popen[bytes]] = []

    def start(api: int) -> str:
        port = free_port()
        text = CONFIGURATION.read_text().replace("server api:8000", f"server 127.0.0.1:{api}")
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(" /tmp/", f" {tmp_path}/")
        (tmp_path / "nginx.conf").write_text(text)
        started.append(subprocess.Popen([str(NGINX), "-c", f"{tmp_path}/nginx.conf", "-g", "daemon off;"]))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait()


def assert_is_a_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = ProblemDocument.model_validate_json(answer.content)
    assert (problem.status, problem.code) == (status, code)
    assert answer.headers["X-Request-ID"] == problem.request_id


@pytest.mark.parametrize("path", ["/v1/jobs", "/docs/page.html"])
def test_an_api_that_is_away_is_told_as_a_problem(proxy: Proxy, path: str) -> None:
    answer = httpx2.get(proxy(free_port()) + path)
    assert_is_a_problem(answer, 502, "unreachable")
    assert int(answer.headers["Retry-After"]) > 0


def test_so_is_what_the_proxy_refuses_itself(proxy: Proxy) -> None:
    address = proxy(free_port())
    assert_is_a_problem(httpx2.get(address, headers={"X-Long": "x" * 40_000}), 431, "too_large")
    assert_is_a_problem(httpx2.get(f"{address}/{'x' * 40_000}"), 414, "too_large")
    assert_is_a_problem(httpx2.get(f"{address}/.proxy/problem"), 404, "not_found")
    assert_is_a_problem(httpx2.request("TRACE", address), 405, "method_not_allowed")


def test_what_is_no_http_is_told_too(proxy: Proxy) -> None:
    port = int(proxy(free_port()).rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello there\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code": "malformed_request"' in answer


def test_a_body_of_two_files_reaches_the_api_and_its_limit_counts(proxy: Proxy, data_dir: Path) -> None:
    """The length alone is sent: the API refuses it before any of the body has arrived."""
    app: FastAPI = create_app(Settings(data_dir=data_dir, min_free_bytes=0))
    with served(app) as api:
        port = int(proxy(int(api.rpartition(":")[2])).rpartition(":")[2])
        start = part("job", b"{") + part("file", b"x", "m.pt")
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {17 << 30}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode() + start)
            connection.settimeout(30)
            answer = b""
            while b"}" not in answer and (more := connection.recv(65536)):
                answer += more
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"MODELPRESS_MAX_UPLOAD_BYTES" in answer
