"""What a study may be asked for, and which jobs that takes."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.api.strict_json import read_as
from app.core.errors import Invalid
from app.core.recipes.recipe import Recipe
from app.core.studies.planning import PlannedJob, planned_jobs
from app.core.studies.requests import StudyRequest
from tests.core.studies.finished import INT8, PRUNING, TRAINING, steps

STRUCTURED = {"technique": "structured_pruning", "ratio": 0.5, "criterion": "taylor"}


def request(*recipes: dict[str, Any], **more: Any) -> StudyRequest:
    return StudyRequest.model_validate({"model": "model_1", "recipes": recipes, **more})


def planned(*recipes: dict[str, Any], **more: Any) -> list[PlannedJob]:
    return list(planned_jobs(request(*recipes, **more)))


def recipe(*given: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(steps(*given))


def test_a_list_is_one_point_for_each_value() -> None:
    ratios = [0.1, 0.2, 0.3, 0.4, 0.5]
    jobs = planned(steps({**STRUCTURED, "ratio": ratios}, TRAINING), controls=False)
    assert [job.recipe for job in jobs] == [recipe({**STRUCTURED, "ratio": ratio}, TRAINING) for ratio in ratios]


def test_several_lists_are_all_combinations() -> None:
    jobs = planned(steps({**PRUNING, "sparsity": [0.1, 0.2]}, {**TRAINING, "epochs": [1, 2, 3]}), controls=False)
    assert len({job.recipe.model_dump_json() for job in jobs}) == 6


def test_lists_that_a_field_holds_anyway_are_left_alone() -> None:
    (job,) = planned(steps({**PRUNING, "exclude": ["fc", "conv"]}), controls=False)
    assert job.recipe == recipe({**PRUNING, "exclude": ["fc", "conv"]})


def test_any_field_of_one_value_may_vary() -> None:
    jobs = planned(steps({**STRUCTURED, "criterion": ["l1", "taylor"]}), controls=False)
    assert [job.recipe for job in jobs] == [recipe({**STRUCTURED, "criterion": name}) for name in ("l1", "taylor")]


def test_each_point_is_run_once_with_every_seed() -> None:
    twice = {**PRUNING, "sparsity": [0.3, 0.5, 0.5]}
    jobs = planned(steps(twice), steps(PRUNING), seeds=[3, 1], controls=False)
    assert [(job.recipe, job.seed) for job in jobs] == [
        (recipe({**PRUNING, "sparsity": sparsity}), seed) for sparsity in (0.3, 0.5) for seed in (3, 1)
    ]


def test_pruning_is_compared_with_chance_and_with_magnitude() -> None:
    schedule = {"kind": "linear", "rounds": 3}
    jobs = planned(steps({**STRUCTURED, "schedule": schedule}, TRAINING, INT8))
    assert [(job.control, job.recipe) for job in jobs] == [
        (False, recipe({**STRUCTURED, "schedule": schedule}, TRAINING, INT8)),
        (True, recipe({**STRUCTURED, "schedule": schedule, "criterion": "random"}, TRAINING, INT8)),
        (True, recipe({**STRUCTURED, "criterion": "l1"}, TRAINING, INT8)),
    ]


def test_controls_are_as_many_as_the_amounts() -> None:
    jobs = planned(steps({**STRUCTURED, "ratio": [0.2, 0.4], "criterion": ["l2", "taylor"]}))
    assert sum(job.control for job in jobs) == 4


def test_what_is_asked_for_anyway_is_no_control() -> None:
    plain, chance = {**PRUNING, "criterion": "l1"}, {**PRUNING, "criterion": "random"}
    assert not any(job.control for job in planned(steps(plain), steps(chance)))


@pytest.mark.parametrize(
    "uncontrolled",
    [
        steps(INT8),
        {"preset": "fast"},
        steps({"technique": "magnitude_pruning", "threshold": 0.1}),
        steps(STRUCTURED, {"technique": "layer_pruning"}),
    ],
)
def test_there_is_no_control_where_as_much_cannot_be_removed(uncontrolled: dict[str, Any]) -> None:
    assert len(planned(uncontrolled)) == 1


def test_too_many_jobs_are_refused_with_advice() -> None:
    sparsities = [number / 100 for number in range(40)]
    with pytest.raises(Invalid) as caught:
        planned(steps({**PRUNING, "sparsity": sparsities}))
    assert caught.value.code == "too_many_jobs"
    assert "120 jobs (40 points and 80 controls, each with 1 seeds)" in caught.value.detail


def test_lists_that_explode_are_not_written_out() -> None:
    many = list(range(1, 1001))
    long = {**TRAINING, "epochs": many, "batch_size": many, "patience": many}
    problem = refused([steps(*[long] * 30)])
    assert "points, and a study runs at most 100 jobs" in problem.detail


def refused(recipes: Any, **more: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_as(TypeAdapter(StudyRequest), json.dumps({"model": "m", "recipes": recipes, **more}).encode())
    return caught.value


@pytest.mark.parametrize(
    ("recipes", "where"),
    [
        ([], "recipes"),
        ([{}], "recipes.0"),
        ([{"preset": "fast"}, {"preset": "huge"}], "recipes.1.preset"),
        ([{"preset": "fast"}, steps(INT8), steps({**PRUNING, "sparsity": 1.5})], "recipes.2.steps.0.sparsity"),
        ([steps(INT8), steps(TRAINING, {**PRUNING, "sparsity": [0.5, 1.5]})], "recipes.1.steps.1.sparsity.1"),
        ([steps({**PRUNING, "sparsity": []})], "recipes.0.steps.0.sparsity"),
        ([steps({**PRUNING, "sparsity": ["much"]})], "recipes.0.steps.0.sparsity.0"),
        ([steps({**PRUNING, "sparsity": [[0.5]]})], "recipes.0.steps.0.sparsity.0"),
        ([steps({**PRUNING, "color": [1]})], "recipes.0.steps.0.color"),
        ([steps({"technique": ["magnitude_pruning"]})], "recipes.0.steps.0"),
        ([steps({**PRUNING, "threshold": [0.1]})], "recipes.0.steps.0"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(recipes: Any, where: str) -> None:
    assert refused(recipes).errors[0].where == where


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], 0])
def test_seeds_are_some_and_different(seeds: Any) -> None:
    assert refused([{"preset": "fast"}], seeds=seeds).errors[0].where.startswith("seeds")


def test_a_request_can_be_read_again_from_what_is_kept_of_it() -> None:
    asked = request(steps({**PRUNING, "sparsity": [0.2, 0.4]}), {"preset": "small"}, seeds=[1, 2])
    again = StudyRequest.model_validate(asked.model_dump(mode="json", exclude_none=True))
    assert planned_jobs(again) == planned_jobs(asked)
