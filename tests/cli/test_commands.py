import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from app.cli.connection import _answers
from app.cli.root import _told_plainly, application
from app.client import ClientProblem
from app.core import workers
from app.core.events import add_event
from app.core.measurements import Epoch
from tests.api.conftest import TORCHSCRIPT
from tests.api.live import served
from tests.core.rows import SANDBOX

RUNNER = CliRunner()


def run(*words: str) -> Result:
    return RUNNER.invoke(application, list(words), env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands set variables for the processes that they start; none may reach the next test."""
    for name in ("DATA_DIR", "HOST", "PORT", "INSECURE"):
        monkeypatch.setenv(f"MODELPRESS_{name}", "")
        monkeypatch.delenv(f"MODELPRESS_{name}")


def test_help_loads_no_heavy_library() -> None:
    code = "import sys, app.cli.root; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "typer" in loaded
    assert not {"sqlalchemy", "pydantic", "httpx2", "uvicorn"} & set(loaded)


def test_keys_are_made_listed_and_revoked_in_an_empty_folder(tmp_path: Path) -> None:
    folder = ["--data-dir", str(tmp_path / "new")]
    made = run("keys", "create", "laptop", "--scope", "jobs:write", *folder)
    secret = made.stdout.strip()
    assert secret.startswith("mp_")
    listed = run("keys", "list", *folder).stdout
    assert "laptop" in listed
    assert secret not in listed
    key_id = next(word for word in listed.split() if word.startswith("key_"))
    assert run("keys", "revoke", key_id, *folder).exit_code == 0
    assert "True" in run("keys", "list", *folder).stdout


def test_jobs_are_submitted_shown_and_canceled(url: str, model: str, dataset: str) -> None:
    job_id = run("--url", url, "jobs", "submit", model, "--dataset", dataset, "--preset", "fast").stdout.strip()
    assert job_id in run("--url", url, "jobs", "list").stdout
    assert '"status": "queued"' in run("--url", url, "jobs", "show", job_id).stdout
    assert run("--url", url, "jobs", "cancel", job_id).stdout == f"{job_id} is canceled\n"
    assert run("--url", url, "jobs", "delete", job_id).exit_code == 0
    assert job_id not in run("--url", url, "jobs", "list").stdout


def test_a_plan_is_shown_and_nothing_queued(url: str, model: str) -> None:
    shown = run("--url", url, "plan", model, "--preset", "safe", "-f", "onnx").stdout
    assert "model.onnx" in shown
    assert "of memory" in shown
    assert "compress" not in run("--url", url, "jobs", "list").stdout


def test_watching_a_finished_job_shows_what_was_measured(url: str, finished_job: str, tmp_path: Path) -> None:
    shown = run("--url", url, "jobs", "watch", finished_job)
    assert shown.exit_code == 0
    assert "The upload and model.onnx" in shown.stdout
    assert "1.00×" in shown.stdout
    run("--url", url, "jobs", "download", finished_job, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.onnx").read_text() == "this is model.onnx"


def test_watching_shows_each_epoch(url: str, app: FastAPI, finished_job: str) -> None:
    epoch = Epoch(
        epoch=2, epochs=3, loss=0.125, learning_rate=0.1, seconds=1, metric="accuracy", validation_quality=0.987
    )
    with app.state.context.database.writing() as session:
        add_event(session, finished_job, "epoch", {"step": 1, **epoch.model_dump(mode="json"), "from_a_newer": 1})
    shown = run("--url", url, "jobs", "watch", finished_job).stdout
    assert "step 2, epoch 2 of 3: loss 0.125, validation 98.7 %, best so far" in shown


def test_a_recipe_file_and_a_preset_exclude_each_other(url: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text("{}")
    asked = run("--url", url, "compress", str(TORCHSCRIPT), "--preset", "fast", "--recipe", str(recipe))
    assert asked.exit_code == 2
    recipe.write_text("{steps:")
    assert run("--url", url, "compress", str(TORCHSCRIPT), "--recipe", str(recipe)).exit_code == 2


def test_a_problem_is_told_in_plain_words(url: str) -> None:
    words = [sys.executable, "-m", "app.cli", "--url", url, "jobs", "show", "job_none"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "job_none" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    "words",
    [f"{noun} {verb}" for noun in ("models", "datasets", "jobs", "studies") for verb in ("show", "delete")]
    + [f"{noun} {verb}" for noun in ("jobs", "studies") for verb in ("watch", "cancel", "download")],
)
def test_what_is_not_there_is_named(url: str, words: str, tmp_path: Path) -> None:
    problem = run("--url", url, *words.split(), "nothing_of_the_kind").exception
    assert isinstance(problem, ClientProblem)
    assert (problem.status, "'nothing_of_the_kind'" in problem.detail) == (404, True)


def test_without_its_key_a_command_says_how_to_give_it() -> None:
    told = _told_plainly(ClientProblem("A valid key is needed", "Send one.", code="unauthorized", status=401))
    assert told is not None
    assert "--key" in told
    assert "--key" not in (_told_plainly(ClientProblem("No", "No.", code="not_found", status=404)) or "")


def test_the_doctor_shows_what_the_sandbox_holds_and_fails_without_a_worker(url: str, app: FastAPI) -> None:
    assert run("--url", url, "doctor").exit_code == 1
    workers.sign_on(app.state.context.database, "worker-1", SANDBOX)
    shown = run("--url", url, "doctor")
    assert shown.exit_code == 0
    assert "read /etc/passwd" in shown.stdout
    assert "full, holds" in shown.stdout


def test_a_service_that_was_named_is_not_replaced_by_another(tmp_path: Path) -> None:
    for words in (["compress", str(TORCHSCRIPT)], ["plan", str(TORCHSCRIPT)]):
        told = subprocess.run(
            [sys.executable, "-m", "app.cli", *words, "--url", "http://127.0.0.1:9"],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (told.returncode, "127.0.0.1:9" in told.stderr) == (1, True)
        assert told.stdout == ""


def test_only_a_modelpress_that_answers_is_taken_for_one(url: str) -> None:
    assert _answers(url)
    assert not _answers("http://127.0.0.1:9")
    with served(FastAPI()) as foreign:
        assert not _answers(foreign)


def test_the_address_may_stand_behind_a_command(url: str, model: str) -> None:
    assert model in run("models", "list", "--url", url).stdout
    assert model in run("models", "list", f"--url={url}").stdout


def test_a_plan_takes_a_file_or_an_id(url: str, app: FastAPI) -> None:
    told = run("--url", url, "plan", "no_file.pt")
    assert (told.exit_code, "neither a file nor the id" in told.output) == (2, True)
