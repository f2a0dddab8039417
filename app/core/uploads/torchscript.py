"""A TorchScript archive (torch.jit.save): its parts, its storages and its code."""

import re

from app.core.uploads import limits
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
    module = archive.pickle("data.pkl", torchscript_global)
    archive.storages(module.storages, "data")
    if not isinstance(module.value, Instance):
        raise refusal("malformed_torchscript", "The archive's data.pkl does not hold a module.")
    constants = archive.pickle("constants.pkl", torchscript_global)
    archive.storages(constants.storages, "constants")
    if "traced_inputs.pkl" in archive.names:
        traced_inputs = archive.pickle("traced_inputs.pkl", torchscript_global)
        archive.storages(traced_inputs.storages, "traced_inputs", may_be_empty=True)
