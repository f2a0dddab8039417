import errno
import hashlib
import os
from pathlib import Path

import pytest

from app.core.errors import OutOfSpace
from app.core.storage import Storage


def test_a_published_file_is_whole_read_only_and_hashed(storage: Storage) -> None:
    staged = storage.create()
    staged.write(b"ab")
    staged.write(b"c")
    stored = storage.publish(staged, "models/m")
    assert stored.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert storage.path("models/m").read_bytes() == b"abc"
    assert storage.path("models/m").stat().st_mode & 0o222 == 0
    assert list(storage.all_keys()) == ["models/m"]


def test_nothing_has_a_name_before_it_is_published(storage: Storage) -> None:
    staged = storage.create()
    staged.write(b"half")
    assert all(key.startswith("incoming/") for key in storage.all_keys())
    staged.abort()
    assert list(storage.all_keys()) == []


def test_a_full_disk_leaves_nothing_behind(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutOfSpace):
        storage.store(source, "jobs/j/1/model.onnx")
    assert list(storage.all_keys()) == []


def test_a_rename_that_fails_leaves_nothing_behind(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = storage.create()
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        storage.publish(staged, "models/m")
    assert list(storage.all_keys()) == []


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "models/../../x", ""])
def test_a_key_never_leads_outside(storage: Storage, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        storage.path(key)


def test_deleting_removes_empty_folders_and_is_repeatable(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    storage.store(tmp_path / "a", "jobs/j/1/a")
    storage.delete("jobs/j/1/a")
    storage.delete("jobs/j/1/a")
    assert not storage.path("jobs/j").exists()


def test_a_lent_file_costs_no_copy(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    storage.store(tmp_path / "a", "models/a")
    storage.lend("models/a", tmp_path / "lent")
    assert (tmp_path / "lent").stat().st_ino == storage.path("models/a").stat().st_ino
