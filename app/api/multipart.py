"""Reads a multipart body as it arrives: a file's bytes are hashed and written once, to their final disk."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.api.problems import UnsupportedMediaType
from app.api.validation import printable
from app.core.errors import FieldError, Invalid, OutOfSpace, TooLarge
from app.core.settings import Settings
from app.core.storage import StagedFile, Storage
from app.core.uploads.refusals import TITLES

BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class FormShape:
    """The parts that a form may have. The first file must be there; each part may come once."""

    files: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass
class ReceivedFile:
    file_name: str
    staged: StagedFile


@dataclass
class Form:
    files: dict[str, ReceivedFile] = field(default_factory=dict)
    fields: dict[str, bytes] = field(default_factory=dict)

    @property
    def file(self) -> ReceivedFile:
        return self.files["file"]


@asynccontextmanager
async def received_form(
    request: Request, shape: FormShape, storage: Storage, settings: Settings
) -> AsyncIterator[Form]:
    """The form, complete and within its limits. A file that isn't published inside the block is removed after it."""
    reader = FormReader(_boundary(request), shape, storage, settings)
    _check_length(request, shape, storage, settings)
    try:
        async for batch in _batches(request):
            await run_in_threadpool(reader.feed, batch)
        yield reader.finish()
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(reader.discard)


async def _batches(request: Request) -> AsyncIterator[bytearray]:
    """A network packet is too little work to be worth a thread's turn."""
    batch = bytearray()
    async for chunk in request.stream():
        batch += chunk
        if len(batch) >= BATCH_BYTES:
            yield batch
            batch = bytearray()
    yield batch


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType(
            "Send the body as multipart/form-data with a boundary, as `curl --form file=@model.pt` and a browser's "
            "form do."
        )
    return options[b"boundary"]


def _check_length(request: Request, shape: FormShape, storage: Storage, settings: Settings) -> None:
    """Refuses at once what says itself that it is too long."""
    given = request.headers.get("content-length", "")
    length = int(given) if given.isascii() and given.isdigit() else 0
    if length > len(shape.files) * settings.max_upload_bytes + settings.max_body_bytes:
        raise _too_large(settings)
    _check_space(storage, settings, length)


def _check_space(storage: Storage, settings: Settings, needed: int) -> None:
    if shutil.disk_usage(storage.root).free - needed < settings.min_free_bytes:
        raise OutOfSpace(
            "The upload would leave too little free space on the disk; nothing was kept of it. Delete jobs, models or "
            "data sets that are no longer needed, or give the service a larger disk, then try again."
        )


def _too_large(settings: Settings) -> TooLarge:
    return TooLarge(
        f"A file may have at most {settings.max_upload_bytes} bytes. Send a smaller one, or raise "
        "MODELPRESS_MAX_UPLOAD_BYTES."
    )


class _Part(Protocol):
    def write(self, data: memoryview) -> None: ...

    def end(self) -> None: ...


class FormReader:
    """Takes the body in pieces of any size. Call `discard` at the end, whatever happened."""

    def __init__(self, boundary: bytes, shape: FormShape, storage: Storage, settings: Settings) -> None:
        self._shape, self._storage, self._settings = shape, storage, settings
        self._form = Form()
        self._is_complete = False
        self._header_name, self._header_value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._part: _Part | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._extend_header_name,
                    "on_header_value": self._extend_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": self._write,
                    "on_part_end": self._end_part,
                    "on_end": self._complete,
                },
            )
        except FormParserError as error:
            raise _malformed() from error

    def feed(self, data: bytes | bytearray) -> None:
        try:
            self._parser.write(bytes(data))
        except FormParserError as error:
            raise _malformed() from error

    def finish(self) -> Form:
        if not self._is_complete:
            raise Invalid(
                "The body ended before the form did, so nothing was kept. Send the upload again.",
                code="truncated_body",
                title="The body is cut off",
            )
        if self._shape.files[0] not in self._form.files:
            raise _wrong_part(self._shape.files[0], "is missing", "missing_file", "Send the file in it.")
        for name, file in self._form.files.items():
            if file.staged.size == 0:
                raise _empty_file(name)
        return self._form

    def discard(self) -> None:
        for file in self._form.files.values():
            file.staged.abort()

    def _extend_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _extend_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _begin_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._shape.files + self._shape.fields:
            taken = ", ".join(self._shape.files + self._shape.fields)
            raise _wrong_part(name, "isn't taken here", "unknown_field", f"The fields are: {taken}.")
        if name in self._form.files or name in self._form.fields:
            raise _wrong_part(name, "stands in the form twice", "duplicate_field", "Send it once.")
        if name in self._shape.files:
            self._part = self._begin_file(name, options.get(b"filename", b""))
        else:
            self._form.fields[name] = b""
            self._part = _Field(self._form.fields, name, self._settings.max_body_bytes)

    def _begin_file(self, name: str, file_name: bytes) -> "_File":
        _check_space(self._storage, self._settings, 0)
        staged = self._storage.create()
        self._form.files[name] = ReceivedFile(_plain_name(file_name), staged)
        return _File(staged, self._settings)

    def _write(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self._part.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        assert self._part is not None
        self._part.end()
        self._part = None

    def _complete(self) -> None:
        self._is_complete = True


class _File:
    def __init__(self, staged: StagedFile, settings: Settings) -> None:
        self._staged, self._settings = staged, settings

    def write(self, data: memoryview) -> None:
        if self._staged.size + len(data) > self._settings.max_upload_bytes:
            raise _too_large(self._settings)
        self._staged.write(data)

    def end(self) -> None:
        pass


class _Field:
    def __init__(self, fields: dict[str, bytes], name: str, limit: int) -> None:
        self._fields, self._name, self._limit = fields, name, limit
        self._value = bytearray()

    def write(self, data: memoryview) -> None:
        self._value += data
        if len(self._value) > self._limit:
            raise TooLarge(f"The field `{self._name}` may have at most {self._limit} bytes. Send less.")

    def end(self) -> None:
        self._fields[self._name] = bytes(self._value)


def _plain_name(file_name: bytes) -> str:
    """The last part of the path that a client may have sent, without control characters."""
    last = file_name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:200]


def _malformed() -> Invalid:
    return Invalid(
        "The body isn't well-formed multipart/form-data, so nothing was kept. Let a library or `curl --form` write it.",
        code="malformed_form",
        title="The form can't be read",
    )


def _empty_file(name: str) -> Invalid:
    return Invalid(
        f"The file in the form's field `{name}` has no content. Let what writes it finish, then send the form again.",
        code="empty_file",
        title=TITLES["empty_file"],
        errors=[FieldError(where=name, message="has no content")],
    )


def _wrong_part(name: str, what: str, code: str, advice: str) -> Invalid:
    field_error = FieldError(where=printable(name) or "body", message=what)
    return Invalid(
        f"The form's field `{field_error.where}` {what}. {advice}",
        code=code,
        title="The form has a field that is wrong",
        errors=[field_error],
    )
