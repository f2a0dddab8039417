"""Time in a running service from the claim of a job until its child's first line is written down as the job's progress:
the job's folder, the child in its sandbox, the line through the pipe, a transaction. One JSON line."""

import io
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx2
import numpy as np

from app.cli.embedded_service import service_of_a_command

CLAIMS = 100


def inspected(client: httpx2.Client) -> None:
    """A small data set, whose inspection is a job."""
    file = io.BytesIO()
    np.savez(file, x=np.zeros((8, 4), np.float32))
    dataset = client.post("/v1/datasets", files={"file": ("data.npz", file.getvalue())}).json()["id"]
    while client.get(f"/v1/datasets/{dataset}").json()["status"] == "inspecting":
        time.sleep(0.02)


def milliseconds(events: Sequence[Mapping[str, Any]]) -> float:
    claimed, first = (
        datetime.fromisoformat(next(event["time"] for event in events if event["type"] == kind))
        for kind in ("started", "progress")
    )
    return (first - claimed).total_seconds() * 1000


def main() -> None:
    with service_of_a_command() as service, httpx2.Client(base_url=service.url, timeout=60) as client:
        for _ in range(CLAIMS):
            inspected(client)
        jobs = client.get("/v1/jobs", params={"kind": "inspect", "limit": CLAIMS}).json()["data"]
        samples = sorted(milliseconds(client.get(job["urls"]["events"]).json()["data"]) for job in jobs)
    line = {
        "benchmark": "claim_to_first_line",
        "claims": CLAIMS,
        "p50_ms": round(statistics.median(samples), 1),
        "p99_ms": round(samples[int(CLAIMS * 0.99)], 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
