"""What is quantized: the trained models, and larger ones; each with its data, and the recipe before the last step."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from models.points import Subject, subjects
from support.random_networks import BUILT, build

from app.core.inputs import InputSpec

# Of timing; a round calls every file, and those of large networks take long.
ROUNDS, FEWER_ROUNDS, LARGE = 200, 60, 10_000_000

PRUNED = "mnist_convnet"
PRUNING = [
    {"technique": "structured_pruning", "criterion": "taylor", "scope": "layer", "ratio": 0.5},
    {
        "technique": "distillation",
        "epochs": 8,
        "learning_rate": 0.002,
        "temperature": 2,
        "augmentation": "shift",
    },
]


@dataclass(frozen=True)
class Case:
    """`steps` come before every precision that fits is tried."""

    name: str
    subject: Subject
    steps: tuple[dict[str, Any], ...] = ()

    @property
    def job(self) -> dict[str, Any]:
        return {"recipe": {"steps": list(self.steps)}, "outputs": ["auto"], "seed": 0}

    @property
    def rounds(self) -> int:
        return FEWER_ROUNDS if self.subject.file.stat().st_size > LARGE else ROUNDS

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        return tuple(InputSpec.model_validate(each) for each in self.subject.inputs)


def cases(folder: Path, built: Path, chosen: list[str]) -> list[Case]:
    """Builds those of `chosen` that aren't there yet; all where none is named."""
    found = trained(folder)
    convnet = next(case.subject for case in found if case.name == PRUNED)
    found += [Case(f"{PRUNED}_pruned", convnet, tuple(PRUNING))]
    for name in BUILT:
        if name in chosen or not chosen:
            build(name, folder, built)
            found.append(Case(name, _with_bounds(_built(name, built))))
    return [case for case in found if case.name in chosen or not chosen]


def trained(folder: Path) -> list[Case]:
    return [Case(each.name, _with_bounds(each)) for each in subjects(folder)]


def _built(name: str, folder: Path) -> Subject:
    described = json.loads((folder / f"{name}.json").read_text())
    spec = {"name": "x", "shape": ["batch", *described["shape"][1:]], "dtype": described["dtype"]}
    return Subject(name, folder / f"{name}.torchscript.pt", folder / f"{name}.npz", [spec])


def _with_bounds(subject: Subject) -> Subject:
    """Token numbers lie between bounds, or random ones couldn't be made."""
    (spec,) = subject.inputs
    if not spec["dtype"].startswith("int"):
        return subject
    with np.load(subject.data) as arrays:
        high = int(arrays["x_train"].max()) + 1
    return replace(subject, inputs=[{**spec, "low": 0, "high": high}])
