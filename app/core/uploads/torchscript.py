"""A TorchScript archive (torch.jit.save): its parts, its storages and its code."""

import re

from app.core.uploads import limits
from app.core.uploads.nesting import check_nesting
from app.core.uploads.pickle_globals import torchscript_global
from app.core.uploads.pickle_values import Instance
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.torch_archive import TorchArchive
from app.core.uploads.torchscript_code import check_code

_MEMBER = re.compile(
    r"data\.pkl|constants\.pkl|traced_inputs\.pkl|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/(serialization_id|version)|(data|constants|traced_inputs)/[A-Za-z0-9_]{1,64}"
    r"|code/[A-Za-z0-9_/]{1,400}\.py(\.debug_pkl)?|extra/[A-Za-z0-9_.-]{1,128}"
)
_VERSION = re.compile(rb"[0-9]{1,4}\n?")
_VERSION_BYTES = 8


def check_torchscript(archive: TorchArchive) -> None:
    """Everything that can be known without torch. Invalid with the first thing that is wrong or not allowed."""
    archive.require_names(_MEMBER)
    archive.require_little_endian()
    for part in ("data.pkl", "constants.pkl"):
        if part not in archive.names:
            raise refusal(
                "malformed_torchscript", f"The archive has no {part}: save the model again with torch.jit.save."
            )
    _check_version(archive)
    check_code(_code(archive))
    _check_pickles(archive)


def _check_version(archive: TorchArchive) -> None:
    """torch writes the number to another place when an operator of the archive has changed since its first version."""
    places = [name for name in ("version", ".data/version") if name in archive.names]
    if len(places) != 1 or not _VERSION.fullmatch(archive.read(places[0], _VERSION_BYTES)):
        raise refusal("malformed_torchscript", "The archive has no version: save the model again with torch.jit.save.")


def _code(archive: TorchArchive) -> dict[str, str]:
    """The texts by their path below `code/`."""
    names = [name for name in archive.names if name.startswith("code/")]
    if not any(name.endswith(".py") for name in names):
        raise refusal("malformed_torchscript", "The archive holds no code: save the model again with torch.jit.save.")
    texts: dict[str, str] = {}
    for name in names:
        if name.endswith(".py"):
            content = archive.read(name, limits.CODE_FILE_BYTES)
            if not content.isascii():
                raise refusal("malformed_torchscript", f"{quoted(name)} is not in ASCII, as torch writes code.")
            texts[name.removeprefix("code/")] = content.decode("ascii")
    return texts


def _check_pickles(archive: TorchArchive) -> None:
    module = _pickled(archive, "data")
    if not isinstance(module, Instance):
        raise refusal("malformed_torchscript", "The archive's data.pkl does not hold a module.")
    _pickled(archive, "constants")
    if "traced_inputs.pkl" in archive.names:
        _pickled(archive, "traced_inputs", may_be_empty=True)


def _pickled(archive: TorchArchive, name: str, *, may_be_empty: bool = False) -> object:
    """The value of a pickle whose records stand in the folder of its name."""
    pickled = archive.pickle(f"{name}.pkl", torchscript_global)
    archive.storages(pickled.storages, name, may_be_empty=may_be_empty)
    check_nesting(pickled.value)
    return pickled.value
