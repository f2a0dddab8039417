"""What is compared: a model, how much smaller it is to become, by which method, from which seed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACTORS = (2, 4, 8)
SEEDS = (0, 1, 2)
EPOCHS = 10

# Most of their weights lie in embeddings, recurrent or linear layers, where parameters tell more than MACs.
COUNTED_BY_PARAMETERS = frozenset({"mnist_mlp", "vowels_lstm", "tweets_transformer", "cancer_mlp"})
# Their labels are the upload's own answers: nothing is learned from them, agreement is what counts.
WITHOUT_LABELS = frozenset({"mobilenet_v2"})

# The same training after each criterion, and plain fine-tuning after plain L1: what beats what is seen apart.
METHODS: dict[str, tuple[str, str]] = {
    "taylor + distillation": ("taylor", "distillation"),
    "random + distillation": ("random", "distillation"),
    "l1 + fine_tuning": ("l1", "fine_tuning"),
}


@dataclass(frozen=True)
class Subject:
    """One of the trained models, with its data."""

    name: str
    file: Path
    data: Path

    @property
    def measure(self) -> str:
        return "parameters" if self.name in COUNTED_BY_PARAMETERS else "macs"


@dataclass(frozen=True)
class Point:
    subject: Subject
    factor: int
    method: str
    seed: int

    def job(self, facts: dict[str, int]) -> dict[str, Any]:
        """A job's body without the ids of its model and data; `facts` are the upload's counts."""
        return {"recipe": {"steps": self._steps(facts)}, "outputs": ["onnx"], "seed": self.seed}

    def _steps(self, facts: dict[str, int]) -> list[dict[str, Any]]:
        criterion, recovery = METHODS[self.method]
        target = {self.subject.measure: facts[self.subject.measure] // self.factor}
        prune = {"technique": "structured_pruning", "target": target, "criterion": criterion}
        if self.subject.name in WITHOUT_LABELS:
            return [prune, {"technique": "distillation", "labels": "none", "epochs": EPOCHS, "batch_size": 16}]
        return [prune, {"technique": recovery, "epochs": EPOCHS}]


def subjects(folder: Path) -> list[Subject]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        Subject(name, folder / "models" / f"{name}.torchscript.pt", folder / "data" / f"{entry['data']}.npz")
        for name, entry in manifest.items()
    ]
