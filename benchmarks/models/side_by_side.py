"""Files of whoever made them, judged on the same examples and timed in turns in one process, by the worker's code."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.inputs import InputSpec
from app.core.intervals import ratio_of_medians, ratio_of_medians_ci95
from app.core.measurements import OutputFormat
from app.core.tasks import DatasetFile, Measure, MeasureOptions, ModelFile, Time, WrittenFile
from app.core.wanted_files import SUFFIXES

SEED = 0
UPLOAD = "upload"


@dataclass(frozen=True)
class Compared:
    """`files` by the name that each goes by; `model.pt` and `data.npz` lie in `folder`."""

    folder: Path
    inputs: tuple[InputSpec, ...]
    files: dict[str, Path]
    rounds: int


def format_of(path: Path) -> OutputFormat:
    return next(name for name, suffix in SUFFIXES.items() if path.name.endswith(suffix))


def compare(what: Compared) -> dict[str, dict[str, Any]]:
    """By name: bytes, speed-up over the upload with its interval, milliseconds, and quality; `failed` for a file that
    can't be run. Files are judged first, so that none that fails is timed."""
    folder = _laid_out(what)
    model = ModelFile(path="inputs/model.pt", format="torchscript", inputs=what.inputs)
    uploaded = _written(UPLOAD, "inputs/model.pt", "torchscript", "upload")
    others = {name: _written(name, f"inputs/{path.name}", format_of(path)) for name, path in what.files.items()}
    rows = {name: _judged(model, file, folder) for name, file in {UPLOAD: uploaded, **others}.items()}
    running = [file for name, file in {UPLOAD: uploaded, **others}.items() if "failed" not in rows[name]]
    for name, timed in _timed(model, running, folder, what.rounds).items():
        rows[name] |= timed
    shutil.rmtree(folder)
    return rows


def _laid_out(what: Compared) -> Path:
    """A job's folder, as the worker's tasks want it."""
    folder = what.folder / "compared"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    for path in (what.folder / "model.pt", what.folder / "data.npz", *what.files.values()):
        (folder / "inputs" / path.name).hardlink_to(path.resolve())
    return folder


def _written(name: str, path: str, file_format: OutputFormat, role: Any = "artifact") -> WrittenFile:
    counts = {"parameters": 0, "nonzero_parameters": 0, "macs": None}
    return WrittenFile(name=name, path=path, format=file_format, role=role, quantized=True, **counts)


def _judged(model: ModelFile, file: WrittenFile, folder: Path) -> dict[str, Any]:
    from worker.evaluation.measure import measure

    data = DatasetFile(path="inputs/data.npz", format="npz")
    size = {"bytes": (folder / file.path).stat().st_size}
    try:
        found = measure(Measure(model=model, dataset=data, file=file, seed=SEED), folder, lambda _progress: None)
    except Exception as error:  # what a peer wrote may not run; that is a result, too
        return size | {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    assert found.quality is not None
    return size | found.quality.model_dump(include={"metric", "value", "examples", "agreement", "cosine"})


def _timed(model: ModelFile, files: list[WrittenFile], folder: Path, rounds: int) -> dict[str, dict[str, Any]]:
    from worker.evaluation.timing import time_files

    task = Time(model=model, files=tuple(files), measure=MeasureOptions(repeats=rounds), seed=SEED)
    latencies = {name: each[0] for name, each in time_files(task, folder, lambda _progress: None).latencies.items()}
    before = latencies[UPLOAD].samples
    return {
        name: {
            "milliseconds": latency.median,
            "speedup": ratio_of_medians(before, latency.samples),
            "speedup_ci95": ratio_of_medians_ci95(before, latency.samples, SEED),
        }
        for name, latency in latencies.items()
    }
