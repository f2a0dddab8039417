"""Which of torch's engines a file is to be loaded for."""

from pathlib import Path

import pytest

from app.core.recipes import StaticQuantization
from tests.worker.evaluation.conftest import Recording, recording
from tests.worker.jobs import compress, job_folder
from tests.worker.networks import NETWORKS
from worker.evaluation import engines
from worker.evaluation.engines import DEFAULT_ENGINE, Trial, worth_setting
from worker.evaluation.runtimes import load_runtime

OTHER = next(name for name in ("fbgemm", "onednn") if name != DEFAULT_ENGINE)


def trials(default: tuple[float, float], other: tuple[float, float]) -> list[Trial]:
    """Each of milliseconds and cosine."""
    return [Trial(DEFAULT_ENGINE, *default), Trial(OTHER, *other)]


@pytest.mark.parametrize(
    ("default", "other", "chosen"),
    [
        ((1.0, 0.99), (0.5, 0.99), OTHER),
        ((1.0, 0.99), (0.95, 0.99), None),
        ((0.5, 0.99), (1.0, 0.99), None),
        ((1.0, 0.99), (0.5, 0.2), None),
        ((0.5, 0.2), (1.0, 0.99), OTHER),
    ],
)
def test_the_quickest_that_answers_right_is_set_where_it_is_worth_a_line(
    default: tuple[float, float], other: tuple[float, float], chosen: str | None
) -> None:
    assert worth_setting(trials(default, other)) == chosen


def test_where_no_engine_runs_a_file_none_is_set() -> None:
    assert worth_setting([]) is None


def test_engines_are_timed_with_the_first_shape_that_they_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN lays kernels out for the first one, and is slow with others."""
    runtimes: list[Recording] = []
    monkeypatch.setattr(engines, "load_runtime", recording(load_runtime, runtimes))
    compress(job_folder(tmp_path / "job", NETWORKS["cnn"]), (StaticQuantization(),), outputs=("torchscript",))
    assert len(runtimes) > 1
    assert all(runtime.sizes == {1} for runtime in runtimes)
