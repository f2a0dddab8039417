"""A TorchScript archive (torch.jit.save): its parts, its storages and its code."""

import re

from app.core.uploads.pickle_globals import torchscript_global
from app.core.uploads.pickle_values import Instance
from app.core.uploads.refusals import refusal
from app.core.uploads.torch_archive import TorchArchive

_MEMBER = re.compile(
    r"data\.pkl|constants\.pkl|traced_inputs\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
    r"|(data|constants|traced_inputs)/[A-Za-z0-9_]{1,64}|code/[A-Za-z0-9_/]{1,400}\.py(\.debug_pkl)?|extra/[A-Za-z0-9_.-]{1,128}"
)
_VERSION = re.compile(rb"[0-9]{1,4}\n?")


def check_torchscript(archive: TorchArchive) -> None:
    """Everything that can be known without torch. Invalid with the first thing that is wrong or not allowed."""
    archive.require_names(_MEMBER)
    for part in ("data.pkl", "constants.pkl", "version"):
        if part not in archive.names:
            raise refusal(
                "malformed_torchscript", f"The archive has no {part}: save the model again with torch.jit.save."
            )
    if not _VERSION.fullmatch(archive.read("version", 8)):
        raise refusal("malformed_torchscript", "The archive's version is not a number.")
    module = archive.pickle("data.pkl", torchscript_global)
    archive.storages(module.storages, "data")
    if not isinstance(module.value, Instance):
        raise refusal("malformed_torchscript", "The archive's data.pkl does not hold a module.")
    constants = archive.pickle("constants.pkl", torchscript_global)
    archive.storages(constants.storages, "constants")
    if "traced_inputs.pkl" in archive.names:
        traced_inputs = archive.pickle("traced_inputs.pkl", torchscript_global)
        archive.storages(traced_inputs.storages, "traced_inputs", may_be_empty=True)
