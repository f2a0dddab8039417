"""TorchScript archives without what nothing needs to run them. torch has no way of saving them so.

Beside each file of code torch writes a table of the source lines that it came from, here those of torch and of this
service, and it fills up to 64 bytes before each tensor; `torch.jit.load` copies tensors out of the file, and needs
neither. Of an archive with many small layers in few bits they were a third.
"""

import shutil
import zipfile
from pathlib import Path

_SOURCE_LINES = ".debug_pkl"
_CODE = (".py", ".pkl")
# Each of its letters stands in the file twice for every tensor and every layer.
_ROOT = "m"


def make_lean(path: Path) -> None:
    """In place. Tensors stay as they are, since only what isn't compressed is quick to read."""
    whole = path.rename(path.with_name(f"{path.name}.whole"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            if not member.filename.endswith(_SOURCE_LINES):
                _copy(source, member, target)
    whole.unlink()


def _copy(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: zipfile.ZipFile) -> None:
    name = member.filename.partition("/")[2]
    copy = zipfile.ZipInfo(f"{_ROOT}/{name}")
    copy.file_size = member.file_size  # which decides how it is written if it is beyond 2 GB
    copy.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_CODE) else zipfile.ZIP_STORED
    with source.open(member) as content, target.open(copy, "w") as written:
        shutil.copyfileobj(content, written)
