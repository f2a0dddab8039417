"""Every recipe of the page of terms, run on a tiny network of the right kind."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from app.core.recipes.recipe import Recipe
from tests.core.test_manual import DOCS, shown
from tests.worker.jobs import DATA, inspected, job_folder, silent
from tests.worker.networks import NETWORKS
from worker.data import open_dataset
from worker.data_fit import fitting_data
from worker.loading import load_network
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

pytestmark = pytest.mark.slow

RECIPES = [Recipe.model_validate(value) for value in shown(DOCS / "terms.md")]


def kind_for(recipe: Recipe) -> str:
    fields = {value for step in recipe.steps or () for value in step.model_dump().values() if isinstance(value, str)}
    if fields & {"layer_pruning", "head"}:
        return "transformer"
    return "residual" if fields & {"neuron", "batch_norm_l1", "batch_norm_scale"} else "cnn"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    known: dict[str, tuple[Network, Run]] = {}

    def load(kind: str) -> tuple[Network, Run]:
        if kind not in known:
            folder = job_folder(tmp_path_factory.mktemp(kind) / "job", NETWORKS[kind])
            model, _ = inspected(folder)
            dataset = open_dataset(folder, DATA)
            network = load_network(model, folder, dataset)
            known[kind] = network, Run(0, silent, network, fitting_data(network, dataset))
        return known[kind]

    return load


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: " ".join(step.technique for step in recipe.steps))
def test_it_runs(loaded: Any, recipe: Recipe) -> None:
    kind = kind_for(recipe)
    upload, run = loaded(kind)
    network = upload
    for step in recipe.steps or ():
        network = replace(apply(step, network, run), steps=(*network.steps, step))
    inputs = NETWORKS[kind].inputs(3)
    answers, before = network.run(inputs)[0], upload.run(inputs)[0]
    assert answers.shape == before.shape
    assert not torch.equal(answers, before)
