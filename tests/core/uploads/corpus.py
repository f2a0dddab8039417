"""All odd and hostile files, each tiny on disk and harmless, with the answer that it must get.

`python -m tests.core.uploads.corpus FOLDER` writes them with a list of the answers, to be sent to a running service.
"""

import json
import sys
from pathlib import Path

from tests.core.uploads import (
    samples_of_archives,
    samples_of_behaviour,
    samples_of_datasets,
    samples_of_formats,
    samples_of_images,
    samples_of_pickles,
    samples_of_programs,
    samples_of_torchscript,
)
from tests.core.uploads.sample import Sample

SAMPLES: tuple[Sample, ...] = (
    *samples_of_formats.SAMPLES,
    *samples_of_archives.SAMPLES,
    *samples_of_pickles.SAMPLES,
    *samples_of_torchscript.SAMPLES,
    *samples_of_programs.SAMPLES,
    *samples_of_behaviour.SAMPLES,
    *samples_of_datasets.SAMPLES,
    *samples_of_images.SAMPLES,
)


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        (folder / sample.name).write_bytes(sample.content)
    answers = [sample._asdict() | {"content": sample.name} for sample in SAMPLES]
    (folder / "answers.json").write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
