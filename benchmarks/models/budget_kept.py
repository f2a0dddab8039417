"""Is a budget kept on examples that the service never got? Searches with different seeds and budgets, judged by a third
of each test set that stays out of the upload.

    make bench-budgets                              what isn't known yet, of 30 searches of 120 s
    python -m models.budget_kept --searches 6 --seconds 60
    python -m models.budget_kept --table            what is known

Each search is kept when it is over; stop it when you like, and start it again.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from models.kept_results import KeptResults
from models.points import Subject, subjects
from support.running_service import running

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


def run(client: Client, search: Search, folder: Path) -> dict[str, Any]:
    hidden = divided(search.subject.data, search.seed, folder / "sent.npz")
    model = client.upload_model(search.subject.file, inputs=search.subject.inputs).id
    dataset = client.upload_dataset(folder / "sent.npz").id
    study = client.wait_for_study(client.submit_study({"model": model, "dataset": dataset, **search.body()}).id)
    named = {"model": search.subject.name, "seed": search.seed, "budget": search.budget, "status": study.status}
    if study.best is None:
        return named
    drop = _drop(client, study.best.job, search, hidden, folder)
    trials = sum(point.size_bytes is not None for point in study.points)
    return named | {"met_budget": study.best.met_budget, "drop": drop, "trials": trials, "why": study.best.why}


def _drop(client: Client, job: str, search: Search, hidden: Hidden, folder: Path) -> float:
    best = client.job(job).result.best  # type: ignore[union-attr]
    found = hidden.accuracy_of(client.download(job, best, folder / job))
    return hidden.accuracy_of_upload(search.subject.file) - found


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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(".models"))
    parser.add_argument("--results", type=Path, default=Path("var/benchmarks/budget_kept"))
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--table", action="store_true", help="only show what is known")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    kept = KeptResults(options.results)
    wanted = list(searches(options.folder, options.searches, options.seconds))
    keys = [kept.key(each.subject.file, each.subject.data, each.body()) for each in wanted]
    if not options.table:
        with running("serve", "/health/ready") as service, Client(service.url) as client:
            for search, key in zip(wanted, keys, strict=True):
                if kept.get(key) is None:
                    with tempfile.TemporaryDirectory() as folder:
                        row = run(client, search, Path(folder))
                    kept.keep(key, row)
                    print(json.dumps(row), flush=True)
    print("\n".join(table([row for row in map(kept.get, keys) if row is not None])))


if __name__ == "__main__":
    main()
