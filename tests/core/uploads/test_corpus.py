"""Every file of the corpus gets its answer, and only that one."""

import json
import pickle
import re
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.uploads import convert_to_safetensors, read_dataset, read_model
from tests.core.uploads.corpus import SAMPLES, write
from tests.core.uploads.pickle_builder import MARKER, MARKING, pickled
from tests.core.uploads.sample import Sample

READERS = {"model": read_model, "dataset": read_dataset}


def read(path: Path, sample: Sample) -> None:
    path.write_bytes(sample.content)
    upload = READERS[sample.kind](path, sample.file_name)
    if upload.format == "state_dict":
        with path.with_suffix(".safetensors").open("wb") as target:
            convert_to_safetensors(path, target)
        read_model(path.with_suffix(".safetensors"), "converted.safetensors")


def sample_named(name: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.name == name)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.code is None], ids=lambda sample: sample.name)
def test_an_odd_file_is_read(tmp_path: Path, sample: Sample) -> None:
    read(tmp_path / "upload", sample)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.code], ids=lambda sample: sample.name)
def test_a_wrong_file_gets_its_answer(tmp_path: Path, sample: Sample) -> None:
    with pytest.raises(Invalid) as refused:
        read(tmp_path / "upload", sample)
    assert refused.value.code == sample.code
    assert refused.value.title != Invalid.default_title
    assert re.fullmatch(r"[\x20-\x7e]+", refused.value.detail), "a detail is one printable line"


def test_an_encrypted_archive_is_called_so(tmp_path: Path) -> None:
    """Else it would only be stored in a way that isn't known."""
    with pytest.raises(Invalid, match="is encrypted"):
        read(tmp_path / "upload", sample_named("zip-encrypted"))


def test_the_first_name_that_is_not_allowed_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"uses 'os\.system'"):
        read(tmp_path / "upload", sample_named("pickle-two-names"))


def test_the_samples_differ() -> None:
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)
    assert len({(sample.content, sample.kind) for sample in SAMPLES}) == len(SAMPLES)


def test_every_sample_can_be_written(tmp_path: Path) -> None:
    write(tmp_path)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert {answer["name"] for answer in answers} < {path.name for path in tmp_path.iterdir()}


def test_a_payload_that_runs_leaves_a_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickled(MARKING))
    assert (tmp_path / MARKER).is_file()
