"""The page about architectures says what is taken."""

import re
from pathlib import Path

import pytest

from app.core.architectures import ARCHITECTURE

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_sent(example: str) -> None:
    architecture = ARCHITECTURE.validate_json(example, strict=True)
    assert f"`{architecture.source}`" in PAGE.read_text()
