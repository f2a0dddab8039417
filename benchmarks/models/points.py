"""What is compared: a model, how much smaller it is to become, by which method, from which seed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACTORS = (2, 4, 8)
SEEDS = (0, 1, 2)

# Most of their weights lie in embeddings, recurrent or linear layers, where parameters tell more than MACs.
COUNTED_BY_PARAMETERS = frozenset({"mnist_mlp", "vowels_lstm", "tweets_transformer", "cancer_mlp"})
# Their labels are the upload's own answers: nothing is learned from them, agreement is what counts.
WITHOUT_LABELS = frozenset({"mobilenet_v2"})

DISTILLATION = {"technique": "distillation", "epochs": 10, "learning_rate": 0.002, "temperature": 2}
FINE_TUNING = {"technique": "fine_tuning", "epochs": 10}
# A large network learns a few thousand small images by heart, unless they are moved about.
MOVED_ABOUT = frozenset({"mnist_convnet"})

# The same training after each criterion, and plain fine-tuning after plain L1: what beats what is seen apart.
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "solved": ({"criterion": "reconstruction_error", "reconstruction": "least_squares"}, DISTILLATION),
    "taylor": ({"criterion": "taylor"}, DISTILLATION),
    "random": ({"criterion": "random"}, DISTILLATION),
    "l1": ({"criterion": "l1"}, FINE_TUNING),
}


@dataclass(frozen=True)
class Subject:
    """One of the trained models, with its data."""

    name: str
    file: Path
    data: Path
    inputs: list[dict[str, Any]]

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
        how, recovery = METHODS[self.method]
        target = {self.subject.measure: facts[self.subject.measure] // self.factor}
        prune = {"technique": "structured_pruning", "target": target, "scope": "layer", **how}
        return [prune, recovery | self._fitted_to_data(recovery)]

    def _fitted_to_data(self, recovery: dict[str, Any]) -> dict[str, Any]:
        if self.subject.name in WITHOUT_LABELS:
            return DISTILLATION | {"labels": "none", "batch_size": 16}
        moved_about = recovery is DISTILLATION and self.subject.name in MOVED_ABOUT
        return {"augmentation": "shift"} if moved_about else {}


def subjects(folder: Path) -> list[Subject]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        Subject(
            name,
            folder / "models" / f"{name}.torchscript.pt",
            folder / "data" / f"{entry['data']}.npz",
            [_input(**entry["input"])],
        )
        for name, entry in manifest.items()
    ]


def _input(shape: list[int | None], dtype: str) -> dict[str, Any]:
    """Half precision is what the photos are stored in; the networks take float32."""
    return {"name": "x", "shape": ["batch", *shape[1:]], "dtype": dtype.replace("float16", "float32")}
