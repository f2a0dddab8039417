"""Which format a file is, by its content; its name is never trusted."""

from typing import BinaryIO, Literal

from app.core.uploads.byte_ranges import file_size
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.zip_archive import ZipArchive

Format = Literal[
    "torchscript", "exported_program", "zip_state_dict", "legacy_state_dict", "safetensors", "npz", "images"
]
MODELS: tuple[Format, ...] = ("torchscript", "exported_program", "zip_state_dict", "legacy_state_dict", "safetensors")
DATASETS: tuple[Format, ...] = ("npz", "safetensors", "images")
_SUPPORTED = {
    MODELS: "a TorchScript archive (torch.jit.save), a program of torch.export (torch.export.save), a state dict "
    "(torch.save) or a safetensors file",
    DATASETS: "an .npz file (numpy.savez), a safetensors file, or a zip archive of images in the folders train/CLASS "
    "and test/CLASS",
}
_NAMES = {
    "torchscript": "a TorchScript archive",
    "zip_state_dict": "a file of torch.save",
    "legacy_state_dict": "a pickle",
    "npz": "a data set (.npz)",
    "exported_program": "a program of torch.export (.pt2)",
    "old_exported_program": "a program of torch.export from before torch 2.8: load it and save it again",
    "images": "an archive of images",
    "zip": "a zip archive of something else",
}
_FOREIGN = {
    b"\x89HDF": "an HDF5 file (Keras)",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"\x93NUMPY": "a single .npy array: save it with numpy.savez",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 file: unpack it first",
    b"\xfd7zXZ": "an xz file: unpack it first",
}


def recognized(file: BinaryIO, file_name: str, wanted: tuple[Format, ...]) -> Format:
    """The file's format when it is one of `wanted`, else Invalid."""
    if file_size(file) == 0:
        raise refusal("empty_file", "The file has no content. Let what writes it finish, then send it again.")
    found = _sniffed(file)
    for format in wanted:
        if found == format:
            return format
    if found is None:
        shown = quoted(file_name)
        raise refusal("unknown_format", f"{shown} is in no format that is known here. Upload {_SUPPORTED[wanted]}.")
    name = _NAMES.get(found, found)
    raise refusal("unsupported_format", f"{quoted(file_name)} is {name}. Upload {_SUPPORTED[wanted]}.")


def _sniffed(file: BinaryIO) -> str | None:
    file.seek(0)
    start = file.read(16)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _archive_format(set(ZipArchive(file).members))
    for magic, name in _FOREIGN.items():
        if start.startswith(magic):
            return name
    # Before pickles: a header's length may begin with their bytes.
    if start[4:9] == b"\0\0\0\0{":
        return "safetensors"
    if start.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "legacy_state_dict"
    return "safetensors" if start[8:9] == b"{" else None


def _archive_format(members: set[str]) -> str:
    inner = {name.partition("/")[2] for name in members}
    if "serialized_exported_program.json" in inner | members:
        return "old_exported_program"
    if "archive_format" in inner:
        return "exported_program"
    if "data.pkl" in inner:
        is_script = "constants.pkl" in inner or any(name.startswith("code/") for name in inner)
        return "torchscript" if is_script else "zip_state_dict"
    if members and all(name.endswith(".npy") for name in members):
        return "npz"
    return "images" if any(name.lower().endswith((".png", ".jpg", ".jpeg")) for name in members) else "zip"
