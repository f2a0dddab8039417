"""Limits that no tiny file reaches, made small."""

from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.uploads import limits, read_model
from tests.core.uploads.pickle_builder import legacy, stored, tensor, torch_zip


def test_a_pickle_has_a_longest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pt").write_bytes(legacy())
    monkeypatch.setattr(limits, "PICKLE_BYTES", 100)
    with pytest.raises(Invalid, match="longer than 100 bytes"):
        read_model(tmp_path / "weights.pt", "weights.pt")


def test_records_are_not_counted_as_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"w": tensor(stored(elements=4096), shape=(4096,))}
    (tmp_path / "weights.pt").write_bytes(torch_zip(weights, {"0": bytes(4 * 4096)}))
    monkeypatch.setattr(limits, "BESIDE_RECORDS_BYTES", 4096)
    assert read_model(tmp_path / "weights.pt", "weights.pt").format == "state_dict"
