"""Limits that no tiny file reaches, made small."""

import io
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.uploads import limits, read_model
from app.core.uploads.zip_archive import ZipArchive
from tests.core.uploads.pickle_builder import legacy, stored, tensor, torch_zip
from tests.core.uploads.zip_builder import Member, zip_file


def test_a_pickle_has_a_longest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pt").write_bytes(legacy())
    monkeypatch.setattr(limits, "PICKLE_BYTES", 100)
    with pytest.raises(Invalid, match="longer than 100 bytes"):
        read_model(tmp_path / "weights.pt", "weights.pt")


def test_a_directory_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIRECTORY_BYTES", 100)
    with pytest.raises(Invalid) as refused:
        ZipArchive(io.BytesIO(torch_zip()))
    assert refused.value.code == "archive_too_large"


def test_records_are_not_counted_as_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"w": tensor(stored(elements=4096), shape=(4096,))}
    (tmp_path / "weights.pt").write_bytes(torch_zip(weights, {"0": bytes(4 * 4096)}))
    monkeypatch.setattr(limits, "BESIDE_RECORDS_BYTES", 4096)
    assert read_model(tmp_path / "weights.pt", "weights.pt").format == "state_dict"


def test_a_stored_member_has_one_size() -> None:
    """Else as much as is stored would be read of what is said to be small."""
    said = {"size": 50}
    with pytest.raises(Invalid, match="has two sizes"):
        ZipArchive(io.BytesIO(zip_file(Member("m/x", bytes(80), local=said, entry=said))))


def test_a_member_is_unpacked_no_further_than_it_says() -> None:
    said = {"size": 50}
    bomb = zip_file(Member("m/x", bytes(8 << 20), method=8, local=said, entry=said))
    taken = 0
    with pytest.raises(Invalid, match="unpacks to more than its 50 bytes"):
        for chunk in ZipArchive(io.BytesIO(bomb)).content("m/x"):
            taken += len(chunk)
    assert taken <= 50
