"""A model's file, from its first byte to what is known about it without torch."""

from pathlib import Path
from typing import BinaryIO

from app.core.facts import ArrayFacts, ModelFormat
from app.core.schemas import Schema
from app.core.uploads import formats
from app.core.uploads.byte_ranges import file_size
from app.core.uploads.conversion import Target, check_expansion, write_safetensors
from app.core.uploads.exported_program import check_exported_program
from app.core.uploads.safetensors_files import read_safetensors
from app.core.uploads.state_dicts import StateDict, read_legacy_state_dict, read_zip_state_dict
from app.core.uploads.torch_archive import TorchArchive
from app.core.uploads.torchscript import check_torchscript
from app.core.uploads.weights import usably_named
from app.core.uploads.zip_archive import ZipArchive

_PROGRAMS = {"torchscript": check_torchscript, "exported_program": check_exported_program}


class ModelUpload(Schema):
    """`tensors` are those of a state dict, by their names without `module.`; a file that holds code has none here."""

    format: ModelFormat
    tensors: dict[str, ArrayFacts]


def read_model(path: Path, file_name: str) -> ModelUpload:
    """Reads the whole structure, checksums included, and runs nothing. Invalid when it is malformed or not allowed."""
    with path.open("rb") as file:
        kind = formats.recognized(file, file_name, formats.MODELS)
        if kind == "safetensors":
            return ModelUpload(format="safetensors", tensors=usably_named(read_safetensors(file)))
        if kind == "torchscript" or kind == "exported_program":
            archive = ZipArchive(file)
            _PROGRAMS[kind](TorchArchive(archive))
            archive.check_content()
            return ModelUpload(format=kind, tensors={})
        state_dict = _state_dict(file, kind)
        if kind == "zip_state_dict":
            ZipArchive(file).check_content()
        return ModelUpload(format="state_dict", tensors=_facts(state_dict))


def convert_to_safetensors(path: Path, target: Target) -> None:
    """Writes a pickled state dict that `read_model` has accepted. Memory stays flat."""
    with path.open("rb") as file:
        state_dict = _state_dict(file, formats.recognized(file, path.name, formats.MODELS))
        write_safetensors(file, state_dict, target)


def _state_dict(file: BinaryIO, kind: formats.Format) -> StateDict:
    if kind == "zip_state_dict":
        state_dict = read_zip_state_dict(TorchArchive(ZipArchive(file)))
    else:
        state_dict = read_legacy_state_dict(file)
    check_expansion(state_dict, file_size(file))
    return state_dict


def _facts(state_dict: StateDict) -> dict[str, ArrayFacts]:
    return {
        name: ArrayFacts(shape=tensor.shape, dtype=tensor.dtype.name) for name, tensor in state_dict.tensors.items()
    }
