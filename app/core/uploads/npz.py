"""An .npz file: a zip archive of .npy files at its top, stored or deflated."""

from app.core.facts import ArrayFacts
from app.core.uploads import limits
from app.core.uploads.inflation import check_inflation
from app.core.uploads.npy import read_array
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.zip_archive import ZipArchive

_SUFFIX = ".npy"


def read_npz(archive: ZipArchive) -> dict[str, ArrayFacts]:
    """Every array's shape and type; all content is read once, for the checksums."""
    _check_members(archive)
    return {
        name.removesuffix(_SUFFIX): read_array(name, member.size, archive.content(name))
        for name, member in archive.members.items()
    }


def _check_members(archive: ZipArchive) -> None:
    for name in archive.members:
        if "/" in name or "\\" in name:
            raise refusal(
                "archive_member", f"The archive holds {quoted(name)}, and may hold only .npy files at its top."
            )
    if len(archive.members) > limits.ARRAYS:
        raise refusal("dataset_names", f"The file holds more than {limits.ARRAYS} arrays.")
    check_inflation(archive)
