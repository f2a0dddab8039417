"""Text that some readers take for JSON and others don't is no JSON here."""

import pytest

from app.core.uploads.json_text import read_json


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a": 1, "a": 2}', "", "\\xff"])
def test_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text.encode())
