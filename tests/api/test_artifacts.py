import pytest
from starlette.testclient import TestClient

from app.core.reports import CONTENT_POLICY

CONTENT = b"this is model.onnx"


@pytest.fixture
def address(finished_job: str) -> str:
    return f"/v1/jobs/{finished_job}/artifacts/model.onnx"


def test_a_job_lists_its_files(client: TestClient, finished_job: str, address: str) -> None:
    listed = client.get(f"/v1/jobs/{finished_job}/artifacts").json()
    assert [artifact["name"] for artifact in listed["data"]] == [
        "model.onnx", "report.html", "report.json", "report.md",
    ]  # fmt: skip
    assert listed["data"][0]["url"] == address


def test_a_file_is_offered_for_saving(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.content == CONTENT
    assert answer.headers["Content-Disposition"] == 'attachment; filename="model.onnx"'
    assert client.get(f"{address}x").status_code == 404
    head = client.head(address)
    assert (head.headers["Content-Length"], head.content) == (str(len(CONTENT)), b"")


def test_what_the_caller_has_is_not_sent_again(client: TestClient, address: str) -> None:
    tag = client.get(address).headers["ETag"]
    assert tag.startswith('"sha256-')
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = client.get(address, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_part_of_a_file(client: TestClient, address: str) -> None:
    answer = client.get(address, headers={"Range": "bytes=5-6"})
    assert (answer.status_code, answer.content) == (206, CONTENT[5:7])
    assert answer.headers["Content-Range"] == f"bytes 5-6/{len(CONTENT)}"
    tag = answer.headers["ETag"]
    resumed = client.get(address, headers={"Range": "bytes=5-", "If-Range": tag})
    assert (resumed.status_code, resumed.content) == (206, CONTENT[5:])
    changed = client.get(address, headers={"Range": "bytes=5-", "If-Range": '"sha256-other"'})
    assert (changed.status_code, changed.content) == (200, CONTENT)


def test_a_range_beyond_the_end_is_refused(client: TestClient, address: str) -> None:
    answer = client.get(address, headers={"Range": "bytes=100-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=x", "lines=1-2", "odd", ""])
def test_what_is_no_range_is_ignored(client: TestClient, address: str, asked: str) -> None:
    answer = client.get(address, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "report.html"),
        ("*/*", "report.html"),
        ("", "report.html"),
        ("text/*;q=0.5, application/json", "report.json"),
        ("text/markdown", "report.md"),
        ("text/html;q=0, text/*", "report.md"),
    ],
)
def test_the_report_comes_as_it_is_asked_for(client: TestClient, finished_job: str, accept: str, name: str) -> None:
    answer = client.get(f"/v1/jobs/{finished_job}/report", headers={"Accept": accept})
    assert answer.text == f"this is {name}"
    assert "Content-Disposition" not in answer.headers


def test_a_report_of_another_kind_is_not_acceptable(client: TestClient, finished_job: str) -> None:
    answer = client.get(f"/v1/jobs/{finished_job}/report", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_a_job_that_has_not_succeeded_has_no_report(client: TestClient, model: str) -> None:
    job = client.post("/v1/jobs", json={"model": model, "recipe": {"preset": "safe"}}).json()
    answer = client.get(job["urls"]["report"])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_report")


def test_a_reports_page_may_run_its_own_script_and_no_other(client: TestClient, finished_job: str) -> None:
    policy = client.get(f"/v1/jobs/{finished_job}/report").headers["Content-Security-Policy"]
    assert policy == f"{CONTENT_POLICY}; frame-ancestors 'none'"
