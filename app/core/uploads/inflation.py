"""How much an archive of a data set may unpack to."""

from app.core.uploads import limits
from app.core.uploads.byte_ranges import file_size
from app.core.uploads.refusals import refusal
from app.core.uploads.zip_archive import ZipArchive


def check_inflation(archive: ZipArchive) -> None:
    total = sum(member.size for member in archive.members.values())
    allowed = limits.INFLATED_TO_UPLOADED_RATIO * file_size(archive.file)
    allowed = min(max(allowed, limits.INFLATED_BYTES_ALWAYS_ALLOWED), limits.INFLATED_BYTES)
    if total > allowed:
        raise refusal(
            "archive_too_large",
            f"The archive unpacks to {total} bytes, {allowed} are allowed: compress its content less, as numpy.savez "
            "does.",
        )
