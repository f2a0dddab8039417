"""Whatever bytes arrive, the answer is an upload or a refusal, and never another exception."""

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.uploads import convert_to_safetensors, read_dataset, read_model
from tests.core.uploads.corpus import SAMPLES
from tests.core.uploads.pickle_builder import encoded
from tests.core.uploads.wrappings import WRAPPED

SMALL = [sample for sample in SAMPLES if len(sample.content) < 20_000]
FLIPS = 4
ALPHABET = st.sampled_from(
    [*encoded(("storage", 1, {"w": None})), *b"().]}{[cRQbsuath\x80\x81\x93\x00\xff\"'\\0123456789,:_ \n"]
)
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.lists(ALPHABET, max_size=6).map(bytes)), min_size=1, max_size=4
)


def edited(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, removed, inserted in edits:
        at = int(place * len(content))
        content = content[:at] + inserted + content[at + removed :]
    return content


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with contextlib.suppress(Invalid):
        read_dataset(path, "damaged.npz")
    with contextlib.suppress(Invalid):
        if read_model(path, "damaged.pt").format == "state_dict":
            with path.with_suffix(".safetensors").open("wb") as target:
                convert_to_safetensors(path, target)


# pickletools decodes the escapes of protocol 0's strings as Python does, which warns of unknown ones.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")


@pytest.mark.parametrize("sample", SMALL, ids=lambda sample: sample.name)
def test_flipped_bits_and_cut_ends(tmp_path: Path, sample) -> None:
    chance = random.Random(sample.name)
    for _ in range(FLIPS if sample.content else 0):
        content = bytearray(sample.content)
        for _ in range(chance.choice((1, 1, 2, 8))):
            content[chance.randrange(len(content))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        read(tmp_path / "damaged", bytes(content[: chance.choice((len(content), chance.randrange(len(content) + 1)))]))


@pytest.mark.parametrize("name", WRAPPED)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_edited_contents(tmp_path: Path, name: str, edits: list[tuple[float, int, bytes]]) -> None:
    content, wrap = WRAPPED[name]
    read(tmp_path / "damaged", wrap(edited(content, edits)))
