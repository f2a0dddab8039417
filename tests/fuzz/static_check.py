"""Coverage-guided fuzzing of the static check, seeded with the corpus: `python -m tests.fuzz.static_check SECONDS`.

Where atheris can't be installed, bytes are altered at random, without regard to coverage.

Whatever the bytes are, each reader must answer with what it found or with `Invalid`; and what is accepted as a state
dict must be convertible, to a file that is accepted too. Anything else ends the run, and the bytes are left in a file.
"""

import contextlib
import hashlib
import importlib.util
import io
import random
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
atheris: ModuleType | None = importlib.import_module("atheris") if HAS_ATHERIS else None

with atheris.instrument_imports(include=["app.core.uploads"]) if atheris else contextlib.nullcontext():
    from app.core.errors import Invalid
    from app.core.uploads import convert_to_safetensors, read_dataset, read_model

from tests.core.uploads.corpus import SAMPLES  # noqa: E402  the program under test is imported first
from tests.core.uploads.wrappings import WRAPPED  # noqa: E402

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


def guided(fuzzer: ModuleType, folder: Path, seconds: str) -> None:
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_BYTES}",
        f"-timeout={SECONDS_FOR_ONE}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    fuzzer.Setup([sys.argv[0], *options, str(folder / "seeds")], lambda content: check(folder / "upload", content))
    fuzzer.Fuzz()


def unguided(folder: Path, seconds: float, seed: int) -> None:
    chance, contents = random.Random(seed), [path.read_bytes() for path in sorted((folder / "seeds").iterdir())]
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = altered(chance.choice(contents), chance.choice(contents), chance)
        started = time.monotonic()
        try:
            check(folder / "upload", content)
            assert time.monotonic() - started < SECONDS_FOR_ONE, "the check takes too long"
        except Exception:
            traceback.print_exc()
            found = Path(f"crash-{hashlib.sha256(content).hexdigest()[:16]}")
            found.write_bytes(content)
            sys.exit(f"{found} has the bytes that were not answered with Invalid")
        tried += 1
    print(f"without atheris: {tried} files altered at random (seed {seed}), each answered or refused")


def altered(content: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place, length = chance.randrange(len(changed) + 1), chance.randint(1, 16)
        kind = chance.randrange(4)
        if kind == 0 and place < len(changed):
            changed[place] = chance.randrange(256)
        elif kind == 1:
            del changed[place : place + length]
        elif kind == 2:
            changed[place:place] = chance.randbytes(length)
        else:
            start = chance.randrange(len(other) + 1)
            changed[place : place + length] = other[start : start + length]
    return bytes(changed[:LONGEST_BYTES])


def main(seconds: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_seeds(folder / "seeds")
        if atheris:
            guided(atheris, folder, seconds)
        else:
            unguided(folder, float(seconds), random.SystemRandom().randrange(1 << 32))


if __name__ == "__main__":
    main(sys.argv[1])
