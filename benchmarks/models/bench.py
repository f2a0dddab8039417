"""Files of ours and of others for each case, and what was found out about them, kept from one run to the next."""

import json
import shutil
from pathlib import Path
from typing import Any

from models.alone import alone
from models.cases import Case
from models.kept_results import KeptResults
from models.peers import METHODS, make
from models.side_by_side import Compared, File, compare

from app.client import Client
from app.core import jobs

Job = dict[str, Any]
"""As it is sent, without the ids of the model and its data."""

LIMITS = {"seconds": 7200, "memory_mb": 16_000}


class Bench:
    """Each case has a folder with `model.pt`, `data.npz`, and the files made of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = KeptResults(folder / "kept")

    def folder(self, case: Case) -> Path:
        folder = self._folder / case.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in (("model.pt", case.subject.file), ("data.npz", case.subject.data)):
            if not (folder / name).exists():
                shutil.copyfile(source, folder / name)
        return folder

    def known(self, case: Case, what: str, job: Job | None = None) -> dict[str, Any] | None:
        """Of the case's own job unless another one is given."""
        return self._kept.get(self._key(case, what, job))

    def keep(self, case: Case, what: str, result: dict[str, Any], job: Job | None = None) -> dict[str, Any]:
        self._kept.keep(self._key(case, what, job), result)
        return result

    def _key(self, case: Case, what: str, job: Job | None) -> str:
        return self._kept.key(case.subject.file, case.subject.data, {"what": what, **(job or case.job)})

    def compressed(self, client: Client, case: Case, what: str, job: Job) -> bool:
        """Whether its files are there, now or from before; a job that fails is told, and stops nothing else."""
        if self.known(case, what, job):
            return True
        files = {"dataset_file": case.subject.data, "inputs": case.subject.inputs}
        done = client.wait(client.submit_files(case.subject.file, {**job, "limits": LIMITS}, **files).id)
        if done.result is None:
            print(json.dumps({"model": case.name, "what": what, "failed": str(done.error)}), flush=True)
            return False
        self.keep(case, what, downloaded(client, done, self.folder(case) / what), job)
        return True

    def quantized_by_others(self, case: Case) -> None:
        folder = self.folder(case)
        (folder / "peers").mkdir(exist_ok=True)
        for method, (_, suffix) in METHODS.items():
            if not case.steps and self.known(case, method) is None:
                self.keep(case, method, alone(make, method, folder, folder / "peers" / f"{method}{suffix}"))

    def files_of_others(self, case: Case) -> dict[str, File]:
        files = {method: File(self.folder(case) / "peers" / f"{method}{METHODS[method][1]}") for method in METHODS}
        made = {method for method in METHODS if "failed" not in (self.known(case, method) or {"failed": "not tried"})}
        return {method: file for method, file in files.items() if method in made}

    def compare(self, case: Case, files: dict[str, File], job: Job | None = None, *, again: bool) -> dict[str, Any]:
        """By name, kept as `rows`."""
        known = self.known(case, "rows", job)
        if known is not None and not again:
            return known
        outcome = alone(compare, Compared(self.folder(case), case.inputs, files, case.rounds))
        assert "answer" in outcome, outcome
        return self.keep(case, "rows", {"rows": outcome["answer"]}, job)


def downloaded(client: Client, job: jobs.Job, folder: Path) -> dict[str, Any]:
    """What a finished job came to, once its files are in the folder."""
    result = job.result
    assert result is not None
    assert job.started_at is not None
    assert job.finished_at is not None
    for artifact in result.artifacts:
        client.download(job.id, artifact.name, folder)
    return {
        "names": [artifact.name for artifact in result.artifacts],
        "engines": {artifact.name: artifact.engine for artifact in result.artifacts},
        "best": result.best,
        "warnings": list(result.warnings),
        "job_seconds": (job.finished_at - job.started_at).total_seconds(),
    }


def files_of_ours(whose: str, told: dict[str, Any], folder: Path) -> dict[str, File]:
    """By names that begin with `whose`."""
    engines = told.get("engines", {})
    return {f"{whose}.{name.removeprefix('model.')}": File(folder / name, engines.get(name)) for name in told["names"]}
