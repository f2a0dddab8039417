"""What a search tries of a model, and that the same trials lead to the same next one."""

from itertools import islice

from app.core.facts import LayerFacts
from app.core.job_options import RunOptions
from app.core.measurements import OutputFormat
from app.core.recipes.recipe import Recipe
from tests.core.rows import FACTS
from worker.search.sampling import Trial, draw, recipe_of
from worker.search.space import AS_IT_IS, Space

CONVOLUTION = LayerFacts(name="conv", type="Conv2d", parameters=10, macs=10, output_shape=(1, 4, 8, 8))
WHOLE = FACTS.model_copy(update={"layers": (CONVOLUTION, *FACTS.layers)})
AUTO = Space(WHOLE, RunOptions(outputs=("auto",)))


def techniques(recipe: Recipe) -> list[str]:
    return [step.technique for step in recipe.steps or ()]


def space(output: OutputFormat, editable: str = "whole") -> Space:
    return Space(WHOLE.model_copy(update={"editable": editable}), RunOptions(outputs=(output,)))


def test_it_begins_with_what_is_known_to_work() -> None:
    assert recipe_of(AUTO, AS_IT_IS) == Recipe(steps=())
    first = [techniques(recipe_of(AUTO, choices)) for choices in AUTO.first_choices()]
    assert ["static_quantization"] in first
    assert ["structured_pruning", "distillation"] in first
    assert ["structured_pruning", "distillation", "quantization_aware_training"] in first
    # `auto` makes files with weights in 4 bits of every trial.
    assert ["weight_quantization"] not in first
    assert ["weight_quantization"] in [techniques(recipe_of(space("onnx"), c)) for c in space("onnx").first_choices()]


def test_nothing_is_tried_that_the_model_or_the_format_has_no_place_for() -> None:
    kept = space("onnx", editable="no")
    tried = {name for choices in kept.first_choices() for name in techniques(recipe_of(kept, choices))}
    assert "weight_quantization" in tried
    assert not tried & {"structured_pruning", "distillation"}
    programs = space("exported_program")
    drawn = [each.recipe for each in draw(programs, [], seed=0)]
    assert not {name for recipe in drawn for name in techniques(recipe)} & {"static_quantization", "mixed_precision"}


def test_the_same_trials_and_seed_lead_to_the_same_next_one_and_others_to_others() -> None:
    def drawn(seed: int, trials: list[Trial]) -> list[Recipe]:
        return [each.recipe for each in islice(draw(AUTO, trials, seed), 5)]

    told = [Trial(choices, value=float(number), excess=0.0) for number, choices in enumerate(AUTO.first_choices())]
    assert drawn(3, told) == drawn(3, told)
    assert drawn(3, told) != drawn(4, told)
    assert drawn(3, told) != drawn(3, [*told, Trial(AS_IT_IS, failed=True)])


def test_what_keeps_to_the_budget_at_little_cost_is_drawn_more_often() -> None:
    """Pruning breaks the budget in one search, and pays in the other."""
    random_ones = [each.choices for seed in range(4) for each in islice(draw(AUTO, [], seed), 8)]

    def pruned(breaks: bool) -> int:
        told = [
            Trial(choices, value=0.1 if choices["prune"] != "none" else 1.0, excess=0.5 if is_broken else 0.0)
            for choices in random_ones
            for is_broken in [breaks and choices["prune"] != "none"]
        ]
        return sum(each.choices["prune"] != "none" for each in draw(AUTO, told, 0))

    assert pruned(breaks=False) > pruned(breaks=True) + 5


def test_drawn_recipes_can_be_told_again() -> None:
    for each in islice(draw(AUTO, [], seed=1), 20):
        assert recipe_of(AUTO, each.choices) == each.recipe
