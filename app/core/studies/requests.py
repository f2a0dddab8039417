"""What a caller may ask of a study."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    RootModel,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from app.core.budgets import Budget
from app.core.job_options import AUTO, RunOptions, Seed
from app.core.recipes import TECHNIQUES
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema

MOST_JOBS = 100

Axis = tuple[int, str, list[JsonValue]]
"""Position of a step, name of its field, and the values that it takes in turn."""


class VariedRecipe(RootModel[dict[str, JsonValue]]):
    """A recipe in which any field of a step that takes one value may have a list of them: one point each, and all
    combinations where there are several lists."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _can_be_written_out(self) -> "VariedRecipe":
        assert self.points
        return self

    @cached_property
    def points(self) -> tuple[Recipe, ...]:
        """Each once."""
        axes = list(self._axes())
        count = prod(len(values) for _, _, values in axes)
        if count > MOST_JOBS:
            raise ValueError(f"its lists stand for {count} points, and a study runs at most {MOST_JOBS} jobs")
        chosen = product(*(range(len(values)) for _, _, values in axes))
        return each_once(self._point(axes, places) for places in chosen)

    def _axes(self) -> Iterator[Axis]:
        steps = self.root.get("steps")
        for position, step in enumerate(steps if isinstance(steps, list) else ()):
            if not isinstance(step, dict):
                continue
            for name in _single_valued(str(step.get("technique"))):
                value = step.get(name)
                if value == []:
                    raise _wrong(("steps", position, name), "the list is empty: give at least one value")
                if isinstance(value, list):
                    yield position, name, value

    def _point(self, axes: Sequence[Axis], places: Sequence[int]) -> Recipe:
        document = json.loads(json.dumps(self.root))
        for (position, name, values), place in zip(axes, places, strict=True):
            document["steps"][position][name] = values[place]
        try:
            return Recipe.model_validate_json(json.dumps(document), strict=True)
        except ValidationError as error:
            chosen = {(position, name): place for (position, name, _), place in zip(axes, places, strict=True)}
            raise _as_written(error, chosen) from error

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        step = {
            "type": "object",
            "properties": {"technique": {"type": "string", "enum": list(TECHNIQUES)}},
            "required": ["technique"],
        }
        varied = {
            "type": "object",
            "description": "The same with lists in place of single values: one point each.",
            "properties": {"steps": {"type": "array", "items": step, "maxItems": 32}},
            "required": ["steps"],
            "additionalProperties": False,
        }
        return {"anyOf": [handler(Recipe.__pydantic_core_schema__), varied]}


class Search(Schema):
    """Recipes are made up and tried until `trials` have ended or `seconds` are over."""

    budget: Budget
    minimize: Literal["latency", "size", "macs"] = Field("latency", description="Of what keeps to the budget.")
    prefer: Literal["proved", "cheapest"] = Field(
        "proved",
        description="Of files that keep to the budget on the gate: one that is proved to, or the cheapest, proved or "
        "not. With few test examples only files that hardly differ from the upload can be proved.",
    )
    trials: int = Field(20, ge=1, le=MOST_JOBS)
    seconds: int = Field(1800, ge=1, le=604_800)


class StudyRequest(RunOptions):
    """Recipes to compare on one model, each run with every seed; or a search for the best one."""

    model: str = Field(max_length=40, examples=["model_…"])
    dataset: str | None = Field(None, max_length=40, examples=["dataset_…"])
    recipes: tuple[VariedRecipe, ...] | None = Field(
        None, max_length=MOST_JOBS, description="At least one.", json_schema_extra={"minItems": 1}
    )
    search: Search | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MOST_JOBS)] = (0,)
    controls: bool = Field(
        True, description="Adds to each pruning the same amount removed at random, and by plain magnitude."
    )

    @field_validator("recipes")
    @classmethod
    def _are_some(cls, recipes: tuple[VariedRecipe, ...] | None) -> tuple[VariedRecipe, ...] | None:
        if recipes is not None and not recipes:
            raise ValueError("there is no recipe to compare: give at least one")
        return recipes

    @field_validator("seeds")
    @classmethod
    def _are_different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands here twice")
        return seeds

    @model_validator(mode="after")
    def _compares_or_searches(self) -> "StudyRequest":
        if (self.recipes is None) == (self.search is None):
            raise ValueError("give either `recipes`, to compare them, or `search`, to find one")
        if self.search is not None and len(self.seeds) > 1:
            raise ValueError("a search has one seed: send several searches for several `seeds`")
        return self

    @model_validator(mode="after")
    def _tries_every_format(self) -> "StudyRequest":
        """A search that names no outputs chooses them, too."""
        if self.search is None or "outputs" in self.model_fields_set:
            return self
        return self.model_copy(update={"outputs": (AUTO,)})


def each_once(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    """They can't be hashed, since some hold dicts."""
    found: list[Recipe] = []
    for recipe in recipes:
        if recipe not in found:
            found.append(recipe)
    return tuple(found)


@cache
def _single_valued(technique: str) -> tuple[str, ...]:
    """Fields that hold one number, word or truth value, so that a list in their place can only mean several points."""
    if technique not in TECHNIQUES:
        return ()
    properties = TECHNIQUES[technique].model_json_schema()["properties"]
    return tuple(name for name, schema in properties.items() if name != "technique" and _is_single(schema))


def _is_single(schema: dict[str, Any]) -> bool:
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
    return bool(kinds & {"number", "integer", "string", "boolean"}) and "array" not in kinds


def _as_written(error: ValidationError, chosen: dict[tuple[int, str], int]) -> ValidationError:
    """Its places as the caller wrote them: where there is a list, in that list."""
    return ValidationError.from_exception_data(
        error.title,
        [
            InitErrorDetails(
                type=each["type"], loc=_in_list(each["loc"], chosen), input=each["input"], ctx=each.get("ctx", {})
            )
            for each in error.errors(include_url=False)
        ],
    )


def _in_list(place: tuple[int | str, ...], chosen: dict[tuple[int, str], int]) -> tuple[int | str, ...]:
    match place:
        case ("steps", int(position), *_, str(name)) if (position, name) in chosen:
            return (*place, chosen[position, name])
    return place


def _wrong(place: tuple[int | str, ...], message: str) -> ValidationError:
    kind = PydanticCustomError("wrong_list", "{message}", {"message": message})
    return ValidationError.from_exception_data("recipe", [InitErrorDetails(type=kind, loc=place, input=None)])
