"""Is a budget kept on examples that the service never got? Searches with different seeds and budgets, judged by a third
of each test set that stays out of the upload.

    make bench-budgets                              what isn't known yet, of 30 searches of 120 s
    python -m models.budget_kept --at-once 2        two beside each other
    python -m models.budget_kept --searches 6 --seconds 60
    python -m models.budget_kept --table            what is known

Each search is kept when it is over; stop it when you like, and start it again.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from models.arguments import parser
from models.kept_results import KeptResults
from models.points import Subject, subjects

from app.cli.embedded_service import service_of_a_command
from app.client import Client

MODELS = ("mnist_cnn", "cancer_mlp", "mnist_mlp", "vowels_lstm")
BUDGETS = (0.005, 0.01, 0.02, 0.05)
HIDDEN = 3
GOALS = {"proved": 0.95, "measured": 0.80}


@dataclass(frozen=True)
class Search:
    subject: Subject
    seed: int
    budget: float
    seconds: int

    def body(self) -> dict[str, Any]:
        """Without the ids of the model and its data."""
        search = {"budget": {"max_quality_drop": self.budget}, "trials": 20, "seconds": self.seconds}
        return {"search": search, "seeds": [self.seed], "outputs": ["onnx"], "measure": {"repeats": 20}}


@dataclass(frozen=True)
class Hidden:
    """The third of the test examples that stays here."""

    examples: np.ndarray
    labels: np.ndarray

    def accuracy_of_upload(self, file: Path) -> float:
        with torch.inference_mode():
            return self._accuracy(torch.jit.load(file).eval()(torch.from_numpy(self.examples)).numpy())

    def accuracy_of(self, file: Path) -> float:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return self._accuracy(session.run(None, {session.get_inputs()[0].name: self.examples})[0])

    def _accuracy(self, answers: np.ndarray) -> float:
        return float((answers.argmax(1) == self.labels).mean())


def divided(data: Path, seed: int, sent: Path) -> Hidden:
    """Writes what is uploaded to `sent`."""
    arrays = dict(np.load(data))
    order = np.random.default_rng(seed).permutation(len(arrays["x_test"]))
    cut = len(order) // HIDDEN
    hidden = Hidden(arrays["x_test"][order[:cut]], arrays["y_test"][order[:cut]])
    np.savez(sent, **arrays | {name: arrays[name][order[cut:]] for name in ("x_test", "y_test")})
    return hidden


@dataclass(frozen=True)
class Begun:
    """A search that a service is at, and what it doesn't get."""

    search: Search
    client: Client
    folder: Path
    hidden: Hidden
    study: str

    def result(self) -> dict[str, Any]:
        study = self.client.wait_for_study(self.study)
        search = self.search
        named = {"model": search.subject.name, "seed": search.seed, "budget": search.budget, "status": study.status}
        if study.best is None:
            return named
        trials = sum(point.size_bytes is not None for point in study.points)
        best = study.best
        return named | {"met_budget": best.met_budget, "drop": self._drop(best.job), "trials": trials, "why": best.why}

    def _drop(self, job: str) -> float:
        best = self.client.job(job).result.best  # type: ignore[union-attr]
        found = self.hidden.accuracy_of(self.client.download(job, best, self.folder / job))
        return self.hidden.accuracy_of_upload(self.search.subject.file) - found


def begin(client: Client, search: Search, folder: Path) -> Begun:
    hidden = divided(search.subject.data, search.seed, folder / "sent.npz")
    model = client.upload_model(search.subject.file, inputs=search.subject.inputs).id
    dataset = client.upload_dataset(folder / "sent.npz").id
    study = client.submit_study({"model": model, "dataset": dataset, **search.body()}).id
    return Begun(search, client, folder, hidden, study)


def run(missing: Sequence[tuple[str, Search]], at_once: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Results by the searches' keys. Those beside each other have a service each, so that none waits for the other."""
    with ExitStack() as stack:
        services = [stack.enter_context(service_of_a_command()) for _ in range(at_once)]
        clients = [stack.enter_context(Client(service.url)) for service in services]
        for first in range(0, len(missing), at_once):
            with ExitStack() as folders:
                begun = [
                    (key, begin(client, search, Path(folders.enter_context(tempfile.TemporaryDirectory()))))
                    for client, (key, search) in zip(clients, missing[first:], strict=False)
                ]
                yield from ((key, each.result()) for key, each in begun)


def searches(folder: Path, count: int, seconds: int) -> Iterator[Search]:
    chosen = [one for one in subjects(folder) if one.name in MODELS]
    for seed in range(count):
        yield Search(chosen[seed % len(chosen)], seed, BUDGETS[seed // len(chosen) % len(BUDGETS)], seconds)


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| met_budget | searches | kept on hidden examples | goal |\n|---|---:|---:|---:|"
    for name, goal in GOALS.items():
        drops = [(row["drop"], row["budget"]) for row in rows if row.get("met_budget") == name]
        kept = sum(drop <= budget + 1e-9 for drop, budget in drops)
        yield f"| {name} | {len(drops)} | {kept} | {goal:.0%} |"


def arguments() -> argparse.Namespace:
    told = parser(__doc__, "budget_kept")
    told.add_argument("--searches", type=int, default=30)
    told.add_argument("--seconds", type=int, default=120)
    told.add_argument("--at-once", type=int, default=1, help="searches beside each other, each in its own service")
    return told.parse_args()


def main() -> None:
    options = arguments()
    kept = KeptResults(options.results)
    wanted = searches(options.folder, options.searches, options.seconds)
    keyed = [(kept.key(each.subject.file, each.subject.data, each.body()), each) for each in wanted]
    keyed = [(key, each) for key, each in keyed if each.subject.name in options.models or not options.models]
    missing = [] if options.table else [(key, each) for key, each in keyed if kept.get(key) is None]
    for key, row in run(missing, options.at_once) if missing else ():
        kept.keep(key, row)
        print(json.dumps(row), flush=True)
    print("\n".join(table([known for key, _ in keyed if (known := kept.get(key)) is not None])))


if __name__ == "__main__":
    main()
