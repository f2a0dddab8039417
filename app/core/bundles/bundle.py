"""bundle.zip: the best file, a script that runs it, a sample to compare with, and the model card."""

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.bundles.model_card import model_card
from app.core.bundles.requirements import requirements
from app.core.bundles.run_script import run_script
from app.core.reports import ReportData
from app.core.storage import no_space_left_is_a_problem

CARD, SAMPLE = "README.md", "sample.npz"
ROOM_FOR_TEXTS = 1 << 20
# The oldest that a zip can name: the same files make the same bundle.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """`files` are the best file and those that it can't be loaded without, by their names; `sample` an .npz of
    `input.NAME` and `output.NUMBER` with its own answers, which weights without their network have none of."""

    files: Mapping[str, Path]
    sample: Path | None

    def size_bytes(self) -> int:
        """At most: of the zip that `write` makes, which compresses none but the texts."""
        return sum(path.stat().st_size for path in self._copied().values()) + ROOM_FOR_TEXTS

    def write(self, path: Path, report: ReportData) -> None:
        """Raises `OutOfSpace`."""
        best = report.best
        script = {} if self.sample is None else {"run.py": run_script(best, report.inputs)}
        texts = {
            **script,
            "requirements.txt": requirements(best.format, report.result.environment),
            CARD: model_card(report),
        }
        with no_space_left_is_a_problem(), zipfile.ZipFile(path, "w") as bundle:
            for name, text in texts.items():
                bundle.writestr(_entry(name, zipfile.ZIP_DEFLATED), text)
            for name, source in self._copied().items():
                _copy(source, bundle, name)

    def _copied(self) -> dict[str, Path]:
        return {**self.files, **({} if self.sample is None else {SAMPLE: self.sample})}


def _copy(source: Path, bundle: zipfile.ZipFile, name: str) -> None:
    """In pieces: a file may be larger than memory."""
    entry = _entry(name, zipfile.ZIP_STORED)
    entry.file_size = source.stat().st_size
    with source.open("rb") as file, bundle.open(entry, "w") as inside:
        shutil.copyfileobj(file, inside, 1 << 20)


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type, entry.external_attr = compression, 0o644 << 16
    return entry
