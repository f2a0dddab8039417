"""A command that finds no service starts its own, and leaves nothing of it behind, however it ends."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.conftest import DATASET, TORCHSCRIPT
from tests.e2e.storm import descendants
from tests.e2e.test_serve import living, within

NOWHERE = "http://127.0.0.1:9"
COMPRESS = ("compress", str(TORCHSCRIPT), "--data", str(DATASET), "-o", "out", "--recipe", "recipe.json")
RECIPE = '{"steps": [{"technique": "fine_tuning", "epochs": 1000, "early_stop": false}]}'

pytestmark = pytest.mark.slow


@contextmanager
def command(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """As in a terminal where nothing answers at the usual address, with a folder of its own for temporary files."""
    (folder / "temporary").mkdir()
    (folder / "recipe.json").write_text(RECIPE)
    code = f"import app.cli.connection as c; c.USUAL_URL = {NOWHERE!r}; from app.cli import main; main()"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MODELPRESS_")}
    environment["TMPDIR"] = str(folder / "temporary")
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where the tests run in the background it may be ignored, which a command would inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> list[int]:
    """All processes that it had begun by then."""
    for line in process.stdout or ():
        if words in line:
            return descendants(process.pid)
    raise AssertionError(f"it never said {words!r}")


def test_a_plan_of_a_file(tmp_path: Path) -> None:
    with command(tmp_path, "plan", str(TORCHSCRIPT), "--preset", "safe") as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    assert "One is started for this command, its state in a temporary folder" in said
    assert "model.onnx" in said
    assert not list((tmp_path / "temporary").glob("modelpress-*"))


def test_ctrl_c_cancels_what_runs(tmp_path: Path) -> None:
    with command(tmp_path, *COMPRESS, "--data-dir", "kept") as process:
        everyone = read_until(process, "epoch 1 of 1000")
        assert len(everyone) >= 4
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert (process.returncode, "Canceled" in said) == (130, True)
    assert within(5, lambda: not living(everyone))
    with sqlite3.connect(tmp_path / "kept" / "modelpress.db") as database:
        assert database.execute("select status from jobs where kind = 'compress'").fetchall() == [("canceled",)]


def test_a_signal_takes_the_temporary_folder_along(tmp_path: Path) -> None:
    with command(tmp_path, *COMPRESS) as process:
        everyone = read_until(process, "epoch 1 of 1000")
        process.terminate()
        process.communicate()
    assert process.returncode == 130
    assert within(5, lambda: not living(everyone))
    assert not list((tmp_path / "temporary").glob("modelpress-*"))


def test_a_command_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    with command(tmp_path, *COMPRESS) as process:
        everyone = read_until(process, "epoch 1 of 1000")
        process.kill()
        process.communicate()
    assert within(30, lambda: not living(everyone))


def test_a_service_that_can_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "modelpress.db").mkdir()
    with command(tmp_path, *COMPRESS, "--data-dir", "locked") as process:
        said, _ = process.communicate()
    assert process.returncode == 1
    assert "The service could not be started." in said
    assert "Traceback" not in said
