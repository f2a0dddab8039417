"""Files of whoever made them, judged on the same examples and timed in turns in one process, by the worker's code."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.inputs import InputSpec
from app.core.intervals import ratio_of_medians, ratio_of_medians_ci95
from app.core.job_files import DatasetFile, ModelFile
from app.core.measurements import OutputFormat, QuantizedEngine
from app.core.tasks import Measure, MeasureOptions, Time, WrittenFile
from app.core.wanted_files import SUFFIXES

SEED = 0
UPLOAD = "upload"


@dataclass(frozen=True)
class File:
    """`engine` is the one of torch's that an archive with int8 layers is to be loaded with."""

    path: Path
    engine: QuantizedEngine | None = None


@dataclass(frozen=True)
class Compared:
    """`files` by the name that each goes by; `model.pt` and `data.npz` lie in `folder`."""

    folder: Path
    inputs: tuple[InputSpec, ...]
    files: dict[str, File]
    rounds: int


def format_of(path: Path) -> OutputFormat:
    return next(name for name, suffix in SUFFIXES.items() if path.name.endswith(suffix))


def compare(what: Compared) -> dict[str, dict[str, Any]]:
    """By name: bytes, speed-up over the upload with its interval, milliseconds, and quality; `failed` for a file that
    can't be run. Files are judged first, so that none that fails is timed."""
    folder = _laid_out(what)
    model = ModelFile(path="inputs/model.pt", format="torchscript", inputs=what.inputs)
    files = {UPLOAD: _written(UPLOAD, "inputs/model.pt", "torchscript", role="upload")}
    for name, file in what.files.items():
        files[name] = _written(name, _path_of(name, file), format_of(file.path), engine=file.engine)
    rows = {name: _judged(model, file, folder) for name, file in files.items()}
    running = [file for name, file in files.items() if "failed" not in rows[name]]
    for name, timed in _timed(model, running, folder, what.rounds).items():
        rows[name] |= timed
    shutil.rmtree(folder)
    return rows


def _laid_out(what: Compared) -> Path:
    """A job's folder, as the worker's tasks want it."""
    folder = what.folder / "compared"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "outputs").mkdir(parents=True)
    sources = {f"inputs/{name}": what.folder / name for name in ("model.pt", "data.npz")}
    for path, source in (sources | {_path_of(name, file): file.path for name, file in what.files.items()}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).hardlink_to(source.resolve())
    return folder


def _path_of(name: str, file: File) -> str:
    """Files of different makers may be called alike."""
    return f"inputs/{name}/{file.path.name}"


def _written(name: str, path: str, file_format: OutputFormat, **more: Any) -> WrittenFile:
    counts = {"parameters": 0, "nonzero_parameters": 0, "macs": None}
    return WrittenFile(**{"name": name, "path": path, "format": file_format, "role": "artifact"} | counts | more)


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
