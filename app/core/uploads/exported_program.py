"""A program of torch.export (`.pt2`, torch.export.save): its parts, its graph, its tensors and its example inputs."""

import io
import re
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.dtypes import BY_NAME, Dtype
from app.core.uploads.exported_program_expressions import not_allowed
from app.core.uploads.exported_program_schema import Payload, Payloads, Program, SymInt
from app.core.uploads.json_text import read_json
from app.core.uploads.pickle_globals import state_dict_global
from app.core.uploads.pickle_values import Storage, UnsupportedTensor
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.tensors import described_tensor
from app.core.uploads.torch_archive import TorchArchive
from app.core.uploads.zip_archive import ZipArchive

_MODEL, _EXAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_TENSORS = {"data/weights": "weight_[0-9]{1,6}", "data/constants": "tensor_[0-9]{1,6}"}
_CONFIG = {folder: f"{folder}/model_{folder.rpartition('/')[2]}_config.json" for folder in _TENSORS}
_MEMBER = re.compile(
    "|".join((*map(re.escape, (_MODEL, _EXAMPLES, *_CONFIG.values())), *(f"{f}/{p}" for f, p in _TENSORS.items())))
    + r"|archive_format|archive_version|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/(serialization_id|version)|extra/[A-Za-z0-9_./-]{1,128}"
)
_ADVICE = "Write it with torch.export.save of torch 2.10 or later, and upload it as it was written."
_WORD_BYTES = 16
# Their numbers in torch._export.serde.schema.ScalarType.
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn",
    30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip

T = TypeVar("T")


def check_exported_program(archive: TorchArchive) -> None:
    """Everything that can be known without torch. Invalid with the first thing that is wrong or not allowed."""
    archive.require_names(_MEMBER)
    archive.require_little_endian()
    for name in (_MODEL, *_CONFIG.values(), _EXAMPLES):
        if name not in archive.names:
            raise _malformed(f"The program has no {name}.")
    if archive.read("archive_format", _WORD_BYTES) != b"pt2":
        raise _malformed("The archive's format is not pt2.")
    _read(archive, _MODEL, TypeAdapter(Program))
    for folder, config in _CONFIG.items():
        _check_tensors(archive, folder, _read(archive, config, TypeAdapter(Payloads)).config)
    _check_examples(archive)


def _malformed(what: str) -> Invalid:
    return refusal("malformed_exported_program", f"{what} {_ADVICE}")


def _read(archive: TorchArchive, name: str, schema: TypeAdapter[T]) -> T:
    content = archive.read(name, limits.PROGRAM_BYTES)
    try:
        read_json(content)
        return schema.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _unexpected(name, ".".join(map(str, first["loc"])), str(first["type"])) from None
    except (ValueError, RecursionError):
        raise _malformed(f"{name} is not JSON as torch writes it.") from None


def _unexpected(name: str, where: str, kind: str) -> Invalid:
    if where.endswith("use_pickle"):
        return not_allowed(f"{quoted(where)} asks for a pickle, which would run code")
    if where.endswith("device.type"):
        return not_allowed(
            f"{quoted(where)} is another device than the CPU",
            "Export it from the CPU: torch.export.export(model.cpu().eval(), example).",
        )
    if kind == "extra_forbidden":
        return not_allowed(f"{name} holds {quoted(where)}, which networks of plain tensors don't need")
    return _malformed(f"{name} is not as torch writes it, at {quoted(where)}.")


def _check_tensors(archive: TorchArchive, folder: str, payloads: dict[str, Payload]) -> None:
    """Every tensor lies inside its record, and every record has a tensor."""
    dtypes: dict[str, Dtype] = {}
    for name, payload in payloads.items():
        record = f"{folder}/{payload.path_name}"
        if record not in archive.names or not re.fullmatch(_TENSORS[folder], payload.path_name):
            raise refusal("malformed_tensor", f"The record of the tensor {quoted(name)} is not there.")
        _check_tensor(name, payload, archive.stored_range(record).size)
        dtype = _dtype(payload)
        if dtypes.setdefault(record, dtype) is not dtype:
            raise refusal("malformed_tensor", f"The record {quoted(record)} is read with two element types.")
    if unread := {name for name in archive.names if name.startswith(f"{folder}/")} - {_CONFIG[folder], *dtypes}:
        raise refusal("malformed_tensor", f"No tensor needs the record {quoted(min(unread))}.")


def _dtype(payload: Payload) -> Dtype:
    code = payload.tensor_meta.dtype
    if code not in _DTYPES:
        raise _malformed(f"There is no element type {code}.")
    return BY_NAME[_DTYPES[code]]


def _check_tensor(name: str, payload: Payload, record_bytes: int) -> None:
    meta, dtype = payload.tensor_meta, _dtype(payload)
    offset, shape, strides = (_numbers(sizes) for sizes in ((meta.storage_offset,), meta.sizes, meta.strides))
    tensor = described_tensor(Storage(payload.path_name, dtype, record_bytes), dtype, offset[0], shape, strides)
    if isinstance(tensor, UnsupportedTensor):
        raise refusal("unsupported_tensor", f"The tensor {quoted(name)} is {tensor.kind}, which is not supported.")


def _numbers(sizes: tuple[SymInt, ...]) -> tuple[int | None, ...]:
    return tuple(size.as_int for size in sizes)


def _check_examples(archive: TorchArchive) -> None:
    """They are a file of torch.save, or nothing. No worker loads them; whoever else loads the file would."""
    content = archive.read(_EXAMPLES, limits.BESIDE_RECORDS_BYTES)
    if not content:
        return
    examples = TorchArchive(ZipArchive(io.BytesIO(content)))
    try:
        examples.storages(examples.pickle("data.pkl", state_dict_global).storages, "data")
    except Invalid as problem:
        raise not_allowed(
            "the example inputs are more than tensors", "Set program.example_inputs = None before torch.export.save."
        ) from problem
