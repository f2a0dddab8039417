"""What a search tries of a model, and that the same trials lead to the same next one."""

from dataclasses import replace
from itertools import islice

from app.core.budgets import Budget
from app.core.facts import ArrayFacts, DatasetFacts, LayerFacts
from app.core.job_options import RunOptions
from app.core.measurements import OutputFormat
from app.core.recipes import Distillation, StaticQuantization, StructuredPruning, WeightQuantization
from app.core.recipes.recipe import Recipe
from app.core.studies.requests import Search
from tests.core.rows import FACTS
from worker.search.sampling import Trial, draw, recipe_of
from worker.search.space import AS_IT_IS, Space
from worker.search.suggestions import is_lost, known_to_work, other_precisions, trained_longer

CONVOLUTION = LayerFacts(name="conv", type="Conv2d", parameters=10, macs=10, output_shape=(1, 4, 8, 8))
LARGE = CONVOLUTION.model_copy(update={"macs": 400_000_000})
WHOLE = FACTS.model_copy(update={"layers": (CONVOLUTION, *FACTS.layers)})
SEARCH = Search(budget=Budget(max_quality_drop=0.01), seconds=900)
DATA = DatasetFacts(
    arrays={"x_train": ArrayFacts(shape=(4000, 1, 8, 8), dtype="float32")},
    task="classification",
    examples={"train": 4000, "test": 1000},
    classes=10,
)
AUTO = Space(WHOLE, RunOptions(outputs=("auto",)), SEARCH, DATA)


def techniques(recipe: Recipe) -> list[str]:
    return [step.technique for step in recipe.steps or ()]


def space(output: OutputFormat, editable: str = "whole") -> Space:
    return Space(WHOLE.model_copy(update={"editable": editable}), RunOptions(outputs=(output,)), SEARCH, DATA)


def first(space: Space) -> list[Recipe]:
    return [recipe_of(space, choices) for choices in known_to_work(space)]


def test_it_begins_with_what_is_known_to_work() -> None:
    assert recipe_of(AUTO, AS_IT_IS) == Recipe(steps=())
    tried = [techniques(recipe) for recipe in first(AUTO)]
    assert tried[:2] == [["structured_pruning", "distillation"], ["static_quantization"]]
    assert ["quantization_aware_training"] in tried
    ratios = [
        step.ratio for recipe in first(AUTO) for step in recipe.steps or () if isinstance(step, StructuredPruning)
    ]
    assert (min(ratios), max(ratios), len(ratios)) == (0.3, 0.95, 9)
    assert {
        step.round_to for recipe in first(AUTO) for step in recipe.steps or () if isinstance(step, StructuredPruning)
    } == {4}
    # `auto` makes files with weights in 4 bits of every trial.
    assert [step.bits for step in weights_in(first(AUTO))] == [3]
    assert [step.bits for step in weights_in(first(space("onnx")))] == [8, 4, 3]


def weights_in(recipes: list[Recipe]) -> list[WeightQuantization]:
    """Alone, and of all layers."""
    steps = [recipe.steps for recipe in recipes if recipe.steps is not None and len(recipe.steps) == 1]
    return [step for (step,) in steps if isinstance(step, WeightQuantization)]


def test_convolutions_in_8_bits_go_with_linear_layers_in_4() -> None:
    both = [["static_quantization", "weight_quantization"]]
    found = [recipe.steps or () for recipe in first(AUTO) if techniques(recipe) in both]
    assert all(static.exclude == packed.only == ("fc*",) for static, packed in found)
    static_ones = [static for static, _ in found]
    assert [each.keep_float for each in static_ones if isinstance(each, StaticQuantization)] == [(), "auto"]
    without = WHOLE.model_copy(update={"layers": FACTS.layers})
    assert not any(techniques(each) in both for each in first(Space(without, AUTO.options, SEARCH, DATA)))


def test_channels_are_evened_out_where_depthwise_convolutions_read_them() -> None:
    thin = CONVOLUTION.model_copy(update={"name": "depthwise", "parameters": 36, "macs": 36 * 64})
    with_depthwise = WHOLE.model_copy(update={"layers": (CONVOLUTION, thin, *FACTS.layers)})
    for facts, some in ((WHOLE, {False}), (with_depthwise, {False, True})):
        searched = Space(facts, AUTO.options, SEARCH, DATA)
        recipes = [*first(searched), *(each.recipe for each in islice(draw(searched, [], seed=1), 60))]
        steps = [step for recipe in recipes for step in recipe.steps or ()]
        assert {step.equalize for step in steps if isinstance(step, StaticQuantization)} == some


def test_bits_for_each_layer_are_not_searched_of_what_takes_long_to_run() -> None:
    large = WHOLE.model_copy(update={"layers": tuple(LARGE.model_copy(update={"name": f"{n}"}) for n in range(50))})
    precisions = [replace(AUTO, facts=facts).precisions() for facts in (WHOLE, large)]
    assert ["mixed" in names for names in precisions] == [True, False]


def test_a_network_that_lost_far_more_than_is_allowed_is_not_pruned_harder() -> None:
    ladder = [choices for choices in known_to_work(AUTO) if choices["prune"] == "structured"]
    mild, hard = (pick(ladder, key=lambda each: each["structured_ratio"]) for pick in (min, max))
    broken, lossy = (Trial(mild, (0.1, 100.0), excess) for excess in (0.5, 0.02))
    assert is_lost(AUTO, hard, [broken])
    assert not is_lost(AUTO, hard, [lossy])
    assert not is_lost(AUTO, mild, [Trial(hard, (0.1, 100.0), 0.5)])
    assert not is_lost(AUTO, hard, [Trial({**mild, "recover": "none", "epochs": 0}, (0.1, 100.0), 0.5)])
    assert not is_lost(AUTO, AS_IT_IS, [broken])
    small = Budget(max_quality_drop=0.01, max_size_bytes=100)
    assert not is_lost(replace(AUTO, search=SEARCH.model_copy(update={"budget": small})), hard, [broken])


def test_training_is_as_long_as_a_part_of_the_search() -> None:
    large = WHOLE.model_copy(update={"layers": (CONVOLUTION.model_copy(update={"macs": 200_000_000}),)})
    epochs = [
        Space(facts, RunOptions(outputs=("auto",)), SEARCH.model_copy(update={"seconds": seconds}), DATA).most_epochs()
        for facts, seconds in ((WHOLE, 900), (large, 9000), (large, 900))
    ]
    assert epochs[0] > epochs[1] > epochs[2] == 1
    training = next(step for step in first(AUTO)[0].steps or () if isinstance(step, Distillation))
    assert (training.epochs, training.seconds, training.augmentation) == (epochs[0], 300, "shift")


def test_what_has_blocks_is_made_both_shorter_and_thinner() -> None:
    """Sensitivities aren't used there: they are those of layers of which some are gone."""
    deep = WHOLE.model_copy(update={"layers": (*WHOLE.layers, CONVOLUTION.model_copy(update={"name": "again"}))})
    both = ["layer_pruning", "structured_pruning", "distillation"]
    tried = first(Space(deep, RunOptions(outputs=("auto",)), SEARCH, DATA))
    assert [techniques(recipe) for recipe in tried].count(both) == 2
    assert both not in [techniques(recipe) for recipe in first(AUTO)]


def test_what_needs_labels_or_images_is_left_out_without() -> None:
    unlabelled = DATA.model_copy(
        update={"task": "unlabelled", "arrays": {"x_train": ArrayFacts(shape=(4000, 9), dtype="float32")}}
    )
    plain = Space(WHOLE, RunOptions(outputs=("auto",)), SEARCH, unlabelled)
    assert "fine_tuning" in AUTO.recoveries()
    assert plain.recoveries() == ["distillation", "none"]
    assert plain.augmentations() == ["none"]


def test_nothing_is_tried_that_the_model_or_the_format_has_no_place_for() -> None:
    tried = {name for recipe in first(space("onnx", editable="no")) for name in techniques(recipe)}
    assert "weight_quantization" in tried
    assert not tried & {"structured_pruning", "distillation"}
    programs = space("exported_program")
    drawn = [each.recipe for each in draw(programs, [], seed=0)]
    assert not {name for recipe in drawn for name in techniques(recipe)} & {"static_quantization", "mixed_precision"}


def test_the_same_trials_and_seed_lead_to_the_same_next_one_and_others_to_others() -> None:
    def drawn(seed: int, trials: list[Trial]) -> list[Recipe]:
        return [each.recipe for each in islice(draw(AUTO, trials, seed), 5)]

    told = [
        Trial(choices, values=(float(number), 1.0), excess=0.0) for number, choices in enumerate(known_to_work(AUTO))
    ]
    assert drawn(3, told) == drawn(3, told)
    assert drawn(3, told) != drawn(4, told)
    assert drawn(3, told) != drawn(3, [*told, Trial(AS_IT_IS, failed=True)])


def test_what_keeps_to_the_budget_at_little_cost_is_drawn_more_often() -> None:
    """Pruning breaks the budget in one search, and pays in the other."""
    random_ones = [each.choices for seed in range(4) for each in islice(draw(AUTO, [], seed), 8)]

    def pruned(breaks: bool) -> int:
        told = [
            Trial(choices, values=(0.1 if choices["prune"] != "none" else 1.0, 1.0), excess=0.5 if is_broken else 0.0)
            for choices in random_ones
            for is_broken in [breaks and choices["prune"] != "none"]
        ]
        return sum(each.choices["prune"] != "none" for each in draw(AUTO, told, 0))

    assert pruned(breaks=False) > pruned(breaks=True) + 5


def test_of_what_is_equally_fast_the_small_is_drawn_more_often() -> None:
    random_ones = [each.choices for seed in range(4) for each in islice(draw(AUTO, [], seed), 8)]

    def pruned(size: float) -> int:
        told = [
            Trial(choices, values=(1.0, size if choices["prune"] != "none" else 500.0), excess=0.0)
            for choices in random_ones
        ]
        return sum(each.choices["prune"] != "none" for each in draw(AUTO, told, 0))

    assert pruned(size=100.0) > pruned(size=900.0) + 5


def test_both_the_fastest_and_the_smallest_network_are_tried_in_other_precisions() -> None:
    ladder = [choices for choices in known_to_work(AUTO) if choices["prune"] != "none"]
    fast, small, lossy = (
        Trial(choices, values, excess)
        for choices, values, excess in zip(
            ladder, ((0.1, 900.0), (0.2, 500.0), (0.05, 100.0)), (0.0, 0.0, 0.5), strict=False
        )
    )
    tried = [each["structured_ratio"] for each in other_precisions(AUTO, [fast, small, lossy])]
    assert set(tried) == {fast.choices["structured_ratio"], small.choices["structured_ratio"]}
    assert tried[0] == fast.choices["structured_ratio"], "what was asked for comes first"


def test_what_nearly_keeps_to_the_budget_and_the_best_that_does_are_trained_longer() -> None:
    ladder = [choices for choices in known_to_work(AUTO) if choices["prune"] != "none"]
    fast_but_lossy, hopeless, kept, slow = (
        Trial(choices, (time, 500.0), excess)
        for choices, time, excess in zip(ladder, (0.1, 0.05, 0.2, 0.3), (0.02, 0.5, 0.0, 0.01), strict=False)
    )
    trials = [fast_but_lossy, hopeless, kept, slow]
    longer = list(trained_longer(AUTO, trials))
    assert [each["structured_ratio"] for each in longer] == [
        each.choices["structured_ratio"] for each in (fast_but_lossy, kept)
    ]
    assert {each["epochs"] for each in longer} == {3 * AUTO.most_epochs()}
    again = [Trial(each, (0.1, 500.0), 0.0) for each in longer]
    assert list(trained_longer(AUTO, [*trials, *again])) == longer, "what was trained longer isn't once more"


def test_drawn_recipes_can_be_told_again() -> None:
    for each in islice(draw(AUTO, [], seed=1), 20):
        assert recipe_of(AUTO, each.choices) == each.recipe
