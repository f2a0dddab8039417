"""`modelpress compare` and `modelpress studies`."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from fastapi import FastAPI

from app.client import Client
from app.core.queue import Queue
from app.core.studies.schemas import Study
from tests.api.conftest import TORCHSCRIPT
from tests.cli.test_commands import run
from tests.core.studies.finished import INT8, PRUNING, end_in_order, result, started, steps


@pytest.fixture
def finished(app: FastAPI, model: str, dataset: str) -> Study:
    context = app.state.context
    study = started(context.database, steps(PRUNING), steps(INT8), steps(INT8, INT8), seeds=[0, 1])
    queue = Queue(context.database, context.settings, "worker-1")
    end_in_order(context.database, queue, *[result(400, 2.0, 0.97), result(420, 2.2, 0.98)] * 2, None, None)
    return study


@pytest.fixture
def waiting(app: FastAPI, model: str, dataset: str) -> Study:
    return started(app.state.context.database, steps(PRUNING))


def test_a_study_is_watched_to_its_end_and_its_table(url: str, finished: Study) -> None:
    shown = run("--url", url, "studies", "watch", finished.id)
    assert shown.exit_code == 0
    assert "succeeded: magnitude pruning (sparsity 0.5, criterion l2), seed 1" in shown.stdout
    assert "failed: static quantization, static quantization: The training diverged" in shown.stdout
    rows = [line for line in shown.stdout.splitlines() if "magnitude pruning" in line and "│" in line]
    assert len(rows) == 1
    for figure in ("410 B", "2.10×", "97.5 % ± 0.7 %"):
        assert figure in rows[0]
    assert f"Best: {finished.points[0].job}. Magnitude pruning" in shown.stdout
    assert "It diverged." in shown.stdout


def test_studies_are_listed_shown_canceled_and_deleted(url: str, waiting: Study) -> None:
    assert waiting.id in run("--url", url, "studies", "list").stdout
    assert '"status": "queued"' in run("--url", url, "studies", "show", waiting.id).stdout
    assert run("--url", url, "studies", "cancel", waiting.id).stdout == f"{waiting.id} is canceled\n"
    watched = run("--url", url, "studies", "watch", waiting.id)
    assert (watched.exit_code, f"{waiting.id} canceled" in watched.output) == (1, True)
    assert run("--url", url, "studies", "delete", waiting.id).exit_code == 0
    assert waiting.id not in run("--url", url, "studies", "list").stdout


def test_its_reports_are_fetched(url: str, finished: Study, tmp_path: Path) -> None:
    assert run("--url", url, "studies", "download", finished.id, "-o", str(tmp_path / "out")).exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"study.html", "study.md", "study.json"}


def test_recipes_come_from_a_file_and_from_presets(
    url: str, app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "recipes.json"
    file.write_text(json.dumps({"recipes": [steps(PRUNING)], "minimize": "size"}))
    monkeypatch.setattr("app.cli.watching_studies.watch_study", lambda client, study_id: client.study(study_id))
    options = ["--recipes", str(file), "--preset", "small", "--seed", "1", "--seed", "2", "--no-controls"]
    ended = run("--url", url, "compare", str(TORCHSCRIPT), *options)
    assert "has no recipe that succeeded" in ended.output
    with Client(url) as client:
        (summary,) = client.studies()
        study = client.study(summary.id)
    assert [(point.seed, point.control) for point in study.points] == [(1, False), (2, False)] * 2
    assert study.request.minimize == "size"
    assert study.points[2].recipe.preset == "small"


def test_without_any_recipe_it_says_what_to_give(url: str) -> None:
    told = run("--url", url, "compare", str(TORCHSCRIPT))
    assert told.exit_code == 2
    assert "--recipes" in told.output


def test_a_client_starts_and_waits(url: str, model: str, dataset: str) -> None:
    with Client(url) as client:
        body = {"model": model, "dataset": dataset, "recipes": [steps(PRUNING)]}
        study = client.submit_study(body)
        assert client.submit_study(study.request).points[0].recipe == study.points[0].recipe
        client.cancel_study(study.id)
        assert client.wait_for_study(study.id, 5).status == "canceled"
        assert [event.type for event in client.study_events(study.id)][-1] == "canceled"
        client.delete("studies", study.id)
        assert study.id not in {each.id for each in client.studies()}


def test_a_budget_starts_a_search(url: str, app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, object] = {}

    def ended(client: Client, study_id: str) -> Study:
        sent.update(client.study(study_id).request.model_dump(mode="json", exclude_none=True))
        raise typer.Exit(0)

    monkeypatch.setattr("app.cli.watching_studies.watch_study", ended)
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros((100, 4), np.float32))
    words = ["--max-drop", "0.02", "--minimize", "size", "--prefer", "cheapest", "--trials", "4", "--seed", "3"]
    output = ("-o", str(tmp_path / "out"))
    shown = run("--url", url, "compress", str(TORCHSCRIPT), "--data", str(data), *words, *output)
    assert shown.exit_code == 0, shown.output
    assert sent["search"] == {
        "budget": {"max_quality_drop": 0.02}, "minimize": "size", "prefer": "cheapest", "trials": 4,
        "seconds": 1800,
    }  # fmt: skip
    assert (sent["seeds"], sent["outputs"]) == ([3], ["auto"])
    without_budget = run("--url", url, "compress", str(TORCHSCRIPT), "--trials", "4")
    assert (without_budget.exit_code, "--max-drop 0.01" in without_budget.output) == (2, True)
    both = run("--url", url, "compress", str(TORCHSCRIPT), "--max-drop", "0.1", "--preset", "small")
    assert both.exit_code == 2
