"""Files by key, on a local disk: written once, made durable, then named.

files/incoming/…       being written; what a crash leaves here is swept
files/models/ID        uploads
files/datasets/ID
files/jobs/ID/ATTEMPT/NAME
files/checkpoints/ID/…    see checkpoints.py
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.errors import OutOfSpace
from app.core.schemas import Schema

READ_ONLY = 0o440
NO_SPACE_LEFT = (
    "There is no space left on the disk; nothing was kept of this. Delete jobs, models or data sets that are no longer "
    "needed, or give the service a larger disk, then try again."
)


class StoredFile(Schema):
    key: str
    size_bytes: int
    sha256: str


class StagedFile:
    """A file that is being written and has no key yet. Use `abort()` to leave nothing behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._file = path.open("xb", buffering=0)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        with no_space_left_is_a_problem():
            _write_all(self._file.fileno(), data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def close(self) -> None:
        """Makes the content durable."""
        with no_space_left_is_a_problem():
            os.fsync(self._file.fileno())
        self._file.close()

    def abort(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class Storage:
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._incoming = self.root / "incoming"
        with no_space_left_is_a_problem():
            self._incoming.mkdir(parents=True, exist_ok=True)

    def create(self) -> StagedFile:
        with no_space_left_is_a_problem():
            return StagedFile(self._incoming / secrets.token_hex(16))

    def publish(self, staged: StagedFile, key: str) -> StoredFile:
        """Content first, name second: under `key` there is either the whole file or nothing."""
        target = self.path(key)
        try:
            staged.close()
            staged.path.chmod(READ_ONLY)
            with no_space_left_is_a_problem():
                _make_durable_folder(target.parent, self.root)
                staged.path.rename(target)
                sync_folder(target.parent)
        except BaseException:
            staged.abort()
            raise
        return StoredFile(key=key, size_bytes=staged.size, sha256=staged.sha256)

    def store(self, source: Path, key: str) -> StoredFile:
        """Copies a file into the storage, hashed on its way."""
        staged = self.create()
        try:
            with source.open("rb", buffering=0) as file:
                while chunk := file.read(1 << 20):
                    staged.write(chunk)
        except BaseException:
            staged.abort()
            raise
        return self.publish(staged, key)

    def path(self, key: str) -> Path:
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root) or path == self.root:
            raise ValueError(f"not a storage key: {key!r}")
        return path

    def lend(self, key: str, target: Path) -> None:
        """Puts the file at `target` without copying it where the disk allows; `target` must not be written to."""
        try:
            os.link(self.path(key), target)
        except OSError:
            with no_space_left_is_a_problem():
                shutil.copyfile(self.path(key), target)

    def delete(self, key: str) -> None:
        """Takes along the folders that are empty then."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root or folder.parent == self.root:
                break
            with suppress(OSError):  # not empty, or gone already
                folder.rmdir()

    @contextmanager
    def forgetting_on_failure(self, *keys: str) -> Iterator[None]:
        """Files come before their rows; where the rows don't come, the files go."""
        try:
            yield
        except BaseException:
            for key in keys:
                self.delete(key)
            raise

    def keys_beneath(self, folder: str) -> list[str]:
        """Of all files under keys that begin with `folder/`."""
        return [path.relative_to(self.root).as_posix() for path in self.path(folder).rglob("*") if path.is_file()]

    def all_keys(self) -> Iterator[str]:
        """Every key, files that are still being written (`incoming/…`) included."""
        for path in self.root.rglob("*"):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()


@contextmanager
def no_space_left_is_a_problem() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_no_space_left(error):
            raise
        raise OutOfSpace(NO_SPACE_LEFT) from error


def is_no_space_left(error: BaseException) -> bool:
    """Also in the words of libraries that have no number for it."""
    return getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or os.strerror(errno.ENOSPC) in str(error)


def sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_durable_folder(folder: Path, root: Path) -> None:
    if folder.is_dir() or folder == root:
        return
    _make_durable_folder(folder.parent, root)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
