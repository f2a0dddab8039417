"""Every recipe and step that the manual shows is one that the service accepts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.recipes import TECHNIQUES
from app.core.recipes.recipe import Recipe, check_order

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "terms.md", DOCS / "recipes.md", *sorted((DOCS / "techniques").glob("*.md"))]


def shown(page: Path) -> list[Any]:
    """The JSON of its blocks and, in tables, between backticks."""
    text = page.read_text()
    texts = re.findall(r"```json\n(.*?)```", text, re.DOTALL) + re.findall(r"`(\{\"steps\".*?\})`", text)
    return [value for each in texts for value in values_in(each.strip())]


def values_in(text: str) -> Iterator[Any]:
    """One JSON after another."""
    while text:
        value, end = json.JSONDecoder().raw_decode(text)
        yield value
        text = text[end:].strip()


def recipes_in(value: Any) -> list[dict[str, Any]]:
    """The recipe that a JSON is, or that a job or a step makes."""
    if "technique" in value:
        return [{"steps": [value]}]
    return [value["recipe"]] if "recipe" in value else [value] if {"steps", "preset"} & set(value) else []


SHOWN = [(page.name, recipe) for page in PAGES for value in shown(page) for recipe in recipes_in(value)]


@pytest.mark.parametrize(("page", "recipe"), SHOWN, ids=lambda value: value if isinstance(value, str) else "")
def test_it_is_accepted(page: str, recipe: dict[str, Any]) -> None:
    check_order(Recipe.model_validate(recipe).steps or ())


def test_every_page_shows_some() -> None:
    assert {page.name for page in PAGES} == {page for page, _ in SHOWN}


@pytest.mark.parametrize(
    "term",
    ["global", "local", "channel", "filter", "node", "layer", "sparsity-based", "by gradient", "by activation",
     "stability-based", "L1 regularisation", "L2 regularisation", "sorting", "locality-sensitive hashing", "iterative",
     "retraining", "fine-tuning", "progressive learning", "T = 20, alpha = 0.5", "parallel training"],
)  # fmt: skip
def test_the_terms_of_the_literature_are_there(term: str) -> None:
    assert any(term in line and '{"steps"' in line for line in (DOCS / "terms.md").read_text().splitlines())


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_has_a_page_that_the_list_links(technique: str) -> None:
    assert (DOCS / "techniques" / f"{technique}.md").read_text().startswith(f"# `{technique}`")
    assert f"[{technique}](techniques/{technique}.md)" in (DOCS / "recipes.md").read_text()
