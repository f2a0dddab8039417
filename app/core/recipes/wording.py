"""Recipes in words, short enough for a table: what differs from the defaults."""

from app.core.recipes import Step
from app.core.recipes.recipe import Recipe


def in_words(recipe: Recipe) -> str:
    """`structured pruning (ratio 0.5, criterion taylor), fine tuning (epochs 2)`"""
    if recipe.preset is not None:
        return f"preset {recipe.preset}"
    return ", ".join(map(step_in_words, recipe.steps or ())) or "no step"


def begins_a_sentence(recipe: Recipe) -> str:
    words = in_words(recipe)
    return words[0].upper() + words[1:]


def step_in_words(step: Step) -> str:
    given = step.model_dump(mode="json", exclude={"technique"}, exclude_defaults=True)
    name = step.technique.replace("_", " ")
    return f"{name} ({_listed(given)})" if given else name


def _listed(given: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in given.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"[{_listed(value)}]"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
