"""Sends every odd and hostile file to a running service, and notes what it answers and how it fares. No benchmark."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
PAUSE_SECONDS = 0.05
# Enough for a network, and soon over for a file that never ends. Set before the service starts.
LIMITS = {
    "MODELPRESS_INSPECT_SECONDS": "8",
    "MODELPRESS_MAX_MEMORY_MB": "1024",
    "MODELPRESS_LOG_BYTES": "100000",
}
_INPUTS = [{"name": "x", "shape": ["batch", 2]}]
_ARCHITECTURE = {"source": "layers", "layers": [{"type": "ReLU"}]}
_FIELDS = {"model": {"inputs": json.dumps(_INPUTS), "architecture": json.dumps(_ARCHITECTURE)}, "dataset": {}}
# A file may be rejected for many reasons, but not because something broke.
_BROKEN = {"internal_error", "bad_answer", "worker_lost", "time_limit", "out_of_memory", "log_limit", "child_crashed"}


@dataclass
class Outcome:
    """`wrong` and `rejected` by the file's name; `kept` are the identities of what was accepted."""

    files: int = 0
    wrong: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    server_errors: int = 0
    slowest_answer_ms: float = 0.0
    slowest_health_ms: float = 0.0
    kept: set[str] = field(default_factory=set)


def written_corpus(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "tests.core.uploads.corpus", str(folder)], cwd=ROOT, check=True)
    return folder


@contextmanager
def limited_service() -> Iterator[None]:
    """A service that is started inside the block has the limits."""
    before = dict(os.environ)
    os.environ.update(LIMITS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def send_all(url: str, corpus: Path) -> Outcome:
    """Every file, then every inspection to its end, while the service is asked again and again whether it lives."""
    outcome, accepted = Outcome(), {}
    with _asking_for_health(url, outcome), httpx2.Client(base_url=url, timeout=60) as client:
        for sample in json.loads((corpus / "answers.json").read_text()):
            location = _send(client, corpus, sample, outcome)
            if location:
                accepted[location] = sample
        for location, sample in accepted.items():
            _await_inspection(client, location, sample, outcome)
    return outcome


def _send(client: httpx2.Client, corpus: Path, sample: dict[str, Any], outcome: Outcome) -> str | None:
    """Where an accepted file is to be found."""
    content = (corpus / sample["content"]).read_bytes()
    started = time.perf_counter()
    answer = client.post(
        f"/v1/{sample['kind']}s", files={"file": (sample["file_name"], content)}, data=_FIELDS[sample["kind"]]
    )
    outcome.slowest_answer_ms = max(outcome.slowest_answer_ms, 1000 * (time.perf_counter() - started))
    outcome.files += 1
    outcome.server_errors += answer.status_code >= 500
    given = (answer.status_code, None if answer.status_code == 201 else answer.json()["code"])
    if given != (422 if sample["code"] else 201, sample["code"]):
        outcome.wrong[sample["name"]] = answer.text
    return answer.headers["Location"] if answer.status_code == 201 else None


def _await_inspection(client: httpx2.Client, location: str, sample: dict[str, Any], outcome: Outcome) -> None:
    while (found := client.get(location).raise_for_status().json())["status"] == "inspecting":
        time.sleep(PAUSE_SECONDS)
    outcome.kept.add(found["id"])
    code = (found["problem"] or {}).get("code")
    if code:
        outcome.rejected[sample["name"]] = code
    if code in _BROKEN if sample["rejected_as"] is None else code != sample["rejected_as"]:
        outcome.wrong[sample["name"]] = f"{found['status']}: {found['problem']}"


@contextmanager
def _asking_for_health(url: str, outcome: Outcome) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=_ask_for_health, args=(url, outcome, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _ask_for_health(url: str, outcome: Outcome, done: threading.Event) -> None:
    """No answer counts as one that took forever."""
    with httpx2.Client(base_url=url, timeout=10) as client:
        while not done.wait(PAUSE_SECONDS):
            started = time.perf_counter()
            try:
                client.get("/health/live").raise_for_status()
                milliseconds = 1000 * (time.perf_counter() - started)
            except httpx2.HTTPError:
                milliseconds = float("inf")
            outcome.slowest_health_ms = max(outcome.slowest_health_ms, milliseconds)


def markers(folder: Path) -> list[Path]:
    """What a payload that ran has left behind, anywhere below."""
    return list(folder.rglob("marker"))


def left_behind(data_dir: Path, outcome: Outcome) -> list[Path]:
    """Stored files that belong to nothing that was accepted."""
    stored = [path for path in (data_dir / "files").rglob("*") if path.is_file()]
    return [path for path in stored if path.name.partition(".")[0] not in outcome.kept]
