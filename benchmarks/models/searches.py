"""One search on each of the trained models, beside every preset and beside what the quantizers of others make of it.

    make bench-searches                                       everything that isn't known yet: hours
    make bench-searches MODELS="mnist_cnn cancer_mlp"         some of it
    python -m models.searches --seconds 60 cancer_mlp         shorter searches, kept by themselves
    python -m models.searches --untimed                       the files alone; time them when nothing else runs
    python -m models.searches --again                         time the files that are there once more
    python -m models.searches --table                         what is known, as Markdown

Searches and presets run one after another in a service of its own, over HTTP. When all are over, the files of each
model are judged on all its test examples and timed in turns in one process. Results are kept; stop it when you like,
and start it again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from models.arguments import parser
from models.bench import LIMITS, Bench, Job, downloaded, files_of_ours
from models.cases import Case, trained
from models.goals import SEARCH_GOALS
from models.points import WITHOUT_LABELS
from models.searches_table import PRESET, SEARCH, files_table, trials_table
from models.side_by_side import File

from app.cli.embedded_service import service_of_a_command
from app.cli.service import configure
from app.client import Client
from app.core.recipes.presets import PresetName
from app.core.studies.schemas import Study

TRIALS = 100
# Writing and judging some twenty files of a large network takes minutes: of these one is written in each trial, and its
# precision searched for too.
OUTPUTS = {"mobilenet_v2": ["onnx"]}
# With `auto` all presets come to the same: the network as it is, in every precision.
PRESETS: dict[str, Job] = {
    **{f"{PRESET}-{name}": {"recipe": {"preset": name}} for name in get_args(PresetName)},
    f"{PRESET}-auto": {"recipe": {"preset": "fast"}, "outputs": ["auto"]},
}


class SearchBench(Bench):
    """Keeps of each case the search with the files of its best, of its other last candidates and of its smallest
    trial, each preset, each of the others' methods, and `rows` of all files together."""

    def __init__(self, folder: Path, seconds: int, slots: int) -> None:
        super().__init__(folder)
        self._seconds = seconds
        self._slots = slots

    def found(self, case: Case) -> dict[str, Any] | None:
        return self.known(case, SEARCH, self._run(case))

    def rows(self, case: Case) -> dict[str, Any] | None:
        return self.known(case, "rows", self._run(case))

    def searched(self, client: Client, case: Case) -> bool:
        """Whether there is a best trial, now or from before; a search that fails is told, and stops no other one."""
        if self.found(case):
            return True
        model = client.upload_model(case.subject.file, inputs=case.subject.inputs).id
        dataset = client.upload_dataset(case.subject.data).id
        study = client.submit_study({"model": model, "dataset": dataset, **self._job(case)})
        study = client.wait_for_study(study.id)
        failures = [failure.error.detail for failure in study.failures]
        print(json.dumps({"model": case.name, "search": study.status, "failures": failures}), flush=True)
        if study.best is None:
            return False
        jobs = {SEARCH: study.best.job, f"{SEARCH}-smallest": self._smallest(case, study)}
        read = [] if study.gate is None else [file.job for file in study.gate.files]
        jobs |= {f"{SEARCH}-candidate-{n}": job for n, job in enumerate(read) if job not in jobs.values()}
        files = {name: downloaded(client, client.job(job), self.folder(case) / job) for name, job in jobs.items()}
        told = {"jobs": jobs, "files": files, "study": study.model_dump(mode="json")}
        self.keep(case, SEARCH, told, self._run(case))
        return True

    def _smallest(self, case: Case, study: Study) -> str:
        """Of the trials that keep to the budget on the choice half, else the best one."""
        assert study.best is not None
        allowed = SEARCH_GOALS[case.name].budget["max_quality_drop"]
        kept = {
            point.size_bytes: point.job
            for point in study.points
            if point.size_bytes is not None and (point.quality_change or 0.0) >= -allowed
        }
        return kept[min(kept)] if kept else study.best.job

    def by_preset(self, client: Client, case: Case) -> None:
        for name, job in PRESETS.items():
            self.compressed(client, case, name, job)

    def compare_all(self, case: Case, *, again: bool) -> None:
        self.compare(case, self._files(case), self._run(case), again=again)

    def _job(self, case: Case) -> Job:
        search = {"budget": SEARCH_GOALS[case.name].budget, "minimize": "latency"}
        if case.name in WITHOUT_LABELS:  # and with too few photos for a proof
            search |= {"prefer": "cheapest"}
        return {
            "search": {**search, "trials": TRIALS, "seconds": self._seconds},
            "outputs": OUTPUTS.get(case.name, ["auto"]),
            "limits": LIMITS,
        }

    def _run(self, case: Case) -> Job:
        return {**self._job(case), "slots": self._slots}

    def _files(self, case: Case) -> dict[str, File]:
        found = self.found(case)
        assert found is not None
        files: dict[str, File] = {}
        for name, job in found["jobs"].items():
            files |= files_of_ours(name, found["files"][name], self.folder(case) / job)
        for name, job in PRESETS.items():
            told = self.known(case, name, job) or {"names": []}
            files |= files_of_ours(name, told, self.folder(case) / name)
        return files | self.files_of_others(case)


def chosen_cases(folder: Path, built: Path, names: list[str]) -> list[Case]:
    cases = [case for case in trained(folder) if case.name in names or not names]
    return [_without_labels(case, built) if case.name in WITHOUT_LABELS else case for case in cases]


def _without_labels(case: Case, folder: Path) -> Case:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{case.name}.npz"
    if not data.exists():
        with np.load(case.subject.data) as arrays:
            np.savez(data, **{name: arrays[name] for name in arrays if not name.startswith("y")})
    return replace(case, subject=replace(case.subject, data=data))


def run(bench: SearchBench, chosen: list[Case], options: argparse.Namespace) -> None:
    configure(slots=options.slots)
    with service_of_a_command() as service, Client(service.url) as client:
        there = [case for case in chosen if bench.searched(client, case)]
        for case in there:
            bench.by_preset(client, case)
    for case in there:
        bench.quantized_by_others(case)
    for case in () if options.untimed else there:
        bench.compare_all(case, again=options.again)


def arguments() -> argparse.Namespace:
    told = parser(__doc__, "models_searches")
    told.add_argument("--seconds", type=int, default=900, help="of each search")
    told.add_argument("--slots", type=int, default=2, help="trials at once")
    told.add_argument("--untimed", action="store_true", help="make the files, and leave timing to another run")
    told.add_argument("--again", action="store_true", help="time anew what was timed before")
    return told.parse_args()


def main() -> None:
    options = arguments()
    bench = SearchBench(options.results, options.seconds, options.slots)
    chosen = chosen_cases(options.folder, options.results / "built", options.models)
    if not options.table:
        run(bench, chosen, options)
    found = {case.name: found for case in chosen if (found := bench.found(case))}
    rows = {case.name: known["rows"] for case in chosen if (known := bench.rows(case))}
    print("\n".join((*trials_table(found), "", *files_table(rows))))


if __name__ == "__main__":
    main()
