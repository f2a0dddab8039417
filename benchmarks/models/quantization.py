"""Every precision that the service tries beside what the quantizers of others make of the same model.

    make bench-quantization                                       everything that isn't known yet
    make bench-quantization MODELS="mnist_cnn cancer_mlp"         some of it
    python -m models.quantization --again                         time the files that are there once more
    python -m models.quantization --table                         what is known, as Markdown

Our files come from a service of its own, over HTTP; each of the others' is made in a process of its own. All of a model
are then judged and timed in turns in one process. Results are kept; stop it when you like, and start it again.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.alone import alone
from models.cases import Case, cases
from models.costs import EQUIVALENTS, compress_alone
from models.kept_results import KeptResults
from models.peers import METHODS, make
from models.quantization_table import costs_table, table
from models.side_by_side import Compared, compare
from support.running_service import running

from app.client import Client


class Bench:
    """Of each case: `ours` and `peers` with their files, `rows` of all files together, and `costs`."""

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

    def known(self, case: Case, what: str) -> dict[str, Any] | None:
        return self._kept.get(self._key(case, what))

    def keep(self, case: Case, what: str, result: dict[str, Any]) -> dict[str, Any]:
        self._kept.keep(self._key(case, what), result)
        return result

    def _key(self, case: Case, what: str) -> str:
        return self._kept.key(case.subject.file, case.subject.data, {"what": what, **case.job})

    def compressed(self, client: Client, case: Case) -> bool:
        """Whether its files are there, now or from before; a job that fails is told, and stops no other case."""
        if self.known(case, "ours"):
            return True
        body = {**case.job, "limits": {"seconds": 7200, "memory_mb": 16_000}}
        files = {"dataset_file": case.subject.data, "inputs": case.subject.inputs}
        job = client.wait(client.submit_files(case.subject.file, body, **files).id)
        if job.result is None:
            print(json.dumps({"model": case.name, "failed": str(job.error)}), flush=True)
            return False
        names = [artifact.name for artifact in job.result.artifacts]
        for name in names:
            client.download(job.id, name, self.folder(case) / "ours")
        assert job.started_at is not None
        assert job.finished_at is not None
        seconds = (job.finished_at - job.started_at).total_seconds()
        told = {"names": names, "best": job.result.best, "warnings": list(job.result.warnings), "job_seconds": seconds}
        self.keep(case, "ours", told)
        return True

    def quantized_by_others(self, case: Case) -> None:
        folder = self.folder(case)
        (folder / "peers").mkdir(exist_ok=True)
        for method, (_, suffix) in METHODS.items():
            if not case.steps and self.known(case, method) is None:
                self.keep(case, method, alone(make, method, folder, folder / "peers" / f"{method}{suffix}"))

    def cost(self, case: Case) -> None:
        """Of our own single methods, in processes of their own like the others'."""
        for method in EQUIVALENTS:
            if not case.steps and self.known(case, f"cost of {method}") is None:
                cost = alone(compress_alone, method, case.subject.file, case.subject.data, case.inputs)
                self.keep(case, f"cost of {method}", cost)

    def compare(self, case: Case, *, again: bool) -> dict[str, Any]:
        known = self.known(case, "rows")
        if known is not None and not again:
            return known
        outcome = alone(compare, Compared(self.folder(case), case.inputs, self._files(case), case.rounds))
        assert "answer" in outcome, outcome
        return self.keep(case, "rows", {"rows": outcome["answer"]})

    def _files(self, case: Case) -> dict[str, Path]:
        folder, ours = self.folder(case), self.known(case, "ours")
        assert ours is not None
        made = {f"ours.{name.removeprefix('model.')}": folder / "ours" / name for name in ours["names"]}
        for method, (_, suffix) in METHODS.items():
            if "failed" not in (self.known(case, method) or {"failed": "not tried"}):
                made[method] = folder / "peers" / f"{method}{suffix}"
        return made


def lines(bench: Bench, case: Case) -> Iterator[dict[str, Any]]:
    known = bench.known(case, "rows") or {"rows": {}}
    upload = known["rows"].get("upload")
    for name, row in known["rows"].items():
        line = {"benchmark": "models_quantization", "model": case.name, "file": name, **row}
        yield line | {"size_ratio": upload["bytes"] / row["bytes"]}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names; all where none is given")
    parser.add_argument("--folder", type=Path, default=Path(".models"), help="with manifest.json, models and data")
    parser.add_argument("--results", type=Path, default=Path("var/benchmarks/models_quantization"))
    parser.add_argument("--again", action="store_true", help="time anew what was timed before")
    parser.add_argument("--costs", action="store_true", help="also what each single method costs")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what is known")
    return parser.parse_args()


def run(bench: Bench, chosen: list[Case], options: argparse.Namespace) -> None:
    with running("serve", "/health/ready") as service, Client(service.url) as client:
        there = [case for case in chosen if bench.compressed(client, case)]
    for case in there:
        bench.quantized_by_others(case)
        if options.costs:
            bench.cost(case)
        bench.compare(case, again=options.again)
        for line in lines(bench, case):
            print(json.dumps(line), flush=True)


def main() -> None:
    options = arguments()
    bench = Bench(options.results)
    chosen = cases(options.folder, options.results / "built", options.models)
    if not options.table:
        run(bench, chosen, options)
    rows = {case.name: known["rows"] for case in chosen if (known := bench.known(case, "rows"))}
    print("\n".join(table(rows)))
    costs = {
        (case.name, name): (bench.known(case, f"cost of {name}"), bench.known(case, name))
        for case in chosen
        for name in METHODS
    }
    print("\n".join(costs_table(costs)))


if __name__ == "__main__":
    main()
