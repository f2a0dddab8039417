"""A service whose processes are killed and frozen at random while jobs keep coming."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.tables import ArtifactRow, EventRow, JobRow, ModelRow

HASTY = {
    "MODELPRESS_LEASE_SECONDS": "1.5",
    "MODELPRESS_HEARTBEAT_SECONDS": "0.2",
    "MODELPRESS_POLL_SECONDS": "0.05",
    "MODELPRESS_RETRY_SECONDS": "0.05",
    "MODELPRESS_MAX_ATTEMPTS": "1000",
    "OMP_NUM_THREADS": "1",
}
LONGEST_FREEZE_SECONDS = 4.0
ENDS = {"succeeded", "failed", "canceled"}


class Service:
    """One API and two workers over one folder, each started again when it is dead."""

    def __init__(self, folder: Path, port: int, worker: list[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.settings = Settings(data_dir=folder)
        environment = {**os.environ, **HASTY, "MODELPRESS_DATA_DIR": str(folder), "MODELPRESS_PORT": str(port)}
        api = [sys.executable, "-m", "app.cli", "api", "--data-dir", str(folder), "--port", str(port)]
        self._commands = [api, worker, worker]
        self._environment = environment
        self._log = (folder / "processes.log").open("ab")
        self._processes = [self._start(command) for command in self._commands]

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command, env=self._environment, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def restart_the_dead(self) -> None:
        for place, process in enumerate(self._processes):
            if process.poll() is not None:
                self._processes[place] = self._start(self._commands[place])

    def victims(self) -> list[int]:
        living = [process.pid for process in self._processes if process.poll() is None]
        return [pid for root in living for pid in (root, *descendants(root))]

    def workers(self) -> list[int]:
        return [process.pid for process in self._processes[1:] if process.poll() is None]

    def end(self) -> None:
        for process in self._processes:
            for pid in (*descendants(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self._log.close()


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


class Submitter(threading.Thread):
    """Sends job after job, each twice under one key, until told to stop; an answer lost in a crash is asked again."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__(daemon=True)
        self.jobs: dict[str, set[str]] = {}
        self.stopping = threading.Event()
        self._url, self._model = url, model

    def run(self) -> None:
        while not self.stopping.wait(0.5):
            key = f"key-{len(self.jobs)}"
            self.jobs[key] = {self._send(key), self._send(key)}

    def _send(self, key: str) -> str:
        body = {
            "model": self._model,
            "recipe": {"steps": [{"technique": "magnitude_pruning"}]},
            "outputs": ["state_dict"],
            "measure": {"repeats": 5},
        }
        answer = until_answered("POST", f"{self._url}/v1/jobs", json=body, headers={"Idempotency-Key": key})
        return str(answer["id"])


def until_answered(method: str, url: str, seconds: float = 90.0, **request: Any) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = httpx2.request(method, url, timeout=10, **request)
            if answer.status_code < 500:
                answer.raise_for_status()
                return dict(answer.json())
        except (httpx2.TransportError, json.JSONDecodeError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} gave no answer")
        time.sleep(0.2)


def rage(service: Service, seconds: float, generator: random.Random) -> dict[str, int]:
    """Kills and freezes; says how often."""
    done = {"kills": 0, "stops": 0}
    thaw: list[tuple[float, int]] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or thaw:
        now = time.monotonic()
        for _, pid in [entry for entry in thaw if entry[0] <= now]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        thaw = [entry for entry in thaw if entry[0] > now]
        service.restart_the_dead()
        victims = service.victims()
        if now < deadline and victims:
            victim = generator.choice(victims)
            stopping = generator.random() < 0.4
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGSTOP if stopping else signal.SIGKILL)
                done["stops" if stopping else "kills"] += 1
                if stopping:
                    thaw.append((now + generator.uniform(0.5, LONGEST_FREEZE_SECONDS), victim))
        time.sleep(generator.uniform(0.5, 2.0))
    service.restart_the_dead()
    return done


def freeze_in_turn(service: Service, seconds: float, generator: random.Random) -> dict[str, int]:
    """One worker at a time, for longer than its lease, so that the other one takes its job over; says how often. It
    is over early when two workers have written the end of one job."""
    done = {"stops": 0}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not written_by_two(service.settings):
        service.restart_the_dead()
        for victim in generator.sample(service.workers(), 1):
            os.kill(victim, signal.SIGSTOP)
            time.sleep(generator.uniform(2.0, LONGEST_FREEZE_SECONDS))
            os.kill(victim, signal.SIGCONT)
            done["stops"] += 1
        time.sleep(generator.uniform(0.5, 2.0))
    return done


def violations(settings: Settings, keys: dict[str, set[str]]) -> list[str]:
    """What was promised and isn't so: each job ends, once, by who held it, with all its files."""
    database, storage = Database(settings.url), Storage(settings.files_dir)
    found = [f"{key} made {len(ids)} jobs" for key, ids in keys.items() if len(ids) != 1]
    with database.reading() as session:
        rows = {row.id: row for row in session.scalars(select(JobRow))}
        for job in {job for ids in keys.values() for job in ids}:
            ends = ends_of(session, job)
            if rows[job].status != "succeeded" or ends != ["succeeded"]:
                found.append(f"{job} is {rows[job].status} and ended as {ends}")
        for artifact in session.scalars(select(ArtifactRow)):
            if f"/{rows[artifact.job_id].attempt}/" not in artifact.file_key:
                found.append(f"{artifact.file_key} is of an attempt that had lost the job")
        stored = [(row.file_key, row.sha256) for row in session.scalars(select(ArtifactRow))]
        stored += [(row.file_key, row.sha256) for row in session.scalars(select(ModelRow))]
    database.close()
    for key, sha256 in stored:
        path = storage.path(key)
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            found.append(f"{key} is missing or damaged")
    return found


def written_by_two(settings: Settings) -> list[str]:
    """Of the violations those that need a worker whose writes count though it has lost the job: jobs that ended more
    than once. A job that is merely not done in time, or that failed, is none of them."""
    database = Database(settings.url)
    with database.reading() as session:
        ends = {job: ends_of(session, job) for job in session.scalars(select(JobRow.id))}
    database.close()
    return [f"{job} ended as {kinds}" for job, kinds in ends.items() if len(kinds) > 1]


def ends_of(session: Session, job: str) -> list[str]:
    types = session.scalars(select(EventRow.type).where(EventRow.job_id == job).order_by(EventRow.id))
    return [kind for kind in types if kind in ENDS]
