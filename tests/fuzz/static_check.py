"""Coverage-guided fuzzing of the static check, seeded with the corpus: `python -m tests.fuzz.static_check SECONDS`.

Whatever the bytes are, each reader must answer with what it found or with `Invalid`; and what is accepted as a state
dict must be convertible, to a file that is accepted too. Anything else ends the run, and the bytes are left in a file.
"""

import contextlib
import io
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["app.core.uploads"]):
    from app.core.errors import Invalid
    from app.core.uploads import convert_to_safetensors, read_dataset, read_model

from tests.core.uploads.corpus import SAMPLES
from tests.core.uploads.wrappings import WRAPPED

LONGEST_BYTES = 20_000
SECONDS_FOR_ONE = 10
MEMORY_MB = 2048
# The first byte says what the others are wrapped in.
FRAMES = (bytes, *(wrap for _, wrap in WRAPPED.values()))
NUMBER_OF_FRAME = {name: number for number, name in enumerate(WRAPPED, start=1)}
FRAMES_OF_ENDING = {
    "data.pkl": ("pickle", "script-pickle"),
    "constants.pkl": ("constants",),
    ".py": ("code",),
    "models/model.json": ("program",),
    ".npy": ("npy",),
    ".png": ("image",),
}


def check(path: Path, content: bytes) -> None:
    path.write_bytes(FRAMES[content[0] % len(FRAMES)](content[1:]) if content else b"")
    with contextlib.suppress(Invalid):
        read_dataset(path, "fuzzed.npz")
    with contextlib.suppress(Invalid):
        if read_model(path, "fuzzed.pt").format == "state_dict":
            check_conversion(path)


def check_conversion(path: Path) -> None:
    converted = path.with_suffix(".safetensors")
    with contextlib.suppress(Invalid):  # for values that no header tells of, such as a truth value of 7
        with converted.open("wb") as target:
            convert_to_safetensors(path, target)
        assert is_accepted(converted), "what the conversion wrote is refused"


def is_accepted(path: Path) -> bool:
    try:
        read_model(path, path.name)
    except Invalid:
        return False
    return True


def seeds() -> Iterator[bytes]:
    """Each small sample whole, and what stands in its members."""
    for name, (content, _) in WRAPPED.items():
        yield bytes([NUMBER_OF_FRAME[name]]) + content
    for sample in SAMPLES:
        yield b"\0" + sample.content
        with contextlib.suppress(Exception), zipfile.ZipFile(io.BytesIO(sample.content)) as archive:
            for member in archive.infolist():
                if member.file_size <= LONGEST_BYTES:
                    yield from seeds_of_member(member.filename, archive.read(member))


def seeds_of_member(name: str, content: bytes) -> Iterator[bytes]:
    for ending, frames in FRAMES_OF_ENDING.items():
        if name.endswith(ending):
            yield from (bytes([NUMBER_OF_FRAME[frame]]) + content for frame in frames)


def write_seeds(folder: Path) -> None:
    folder.mkdir()
    for number, seed in enumerate(seed for seed in seeds() if len(seed) <= LONGEST_BYTES):
        (folder / str(number)).write_bytes(seed)


def main(seconds: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_seeds(folder / "seeds")
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST_BYTES}",
            f"-timeout={SECONDS_FOR_ONE}",
            f"-rss_limit_mb={MEMORY_MB}",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(folder / "seeds")], lambda content: check(folder / "upload", content))
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1])
