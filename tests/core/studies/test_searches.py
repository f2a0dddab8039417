"""Searches as they are asked for, and what is said of their best."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.core.database import Database
from app.core.errors import Invalid
from app.core.keys import LOCAL
from app.core.measurements import Quality, Speedup
from app.core.studies.candidates import candidates
from app.core.studies.comparing import Comparison
from app.core.studies.gate import GateFile, GateReading
from app.core.studies.requests import Search, StudyRequest
from app.core.studies.schemas import Study, StudyBaseline, StudyPoint
from app.core.studies.submitting import submit_study
from app.core.studies.verdict import best_of_search
from tests.core.rows import FACTS, dataset_row, model_row

SEARCH = {"budget": {"max_quality_drop": 0.01}}


def asked(database: Database, **body: Any) -> Study:
    given = {"model": "model_1", "dataset": "dataset_1", "search": SEARCH, **body}
    return submit_study(database, LOCAL, StudyRequest.model_validate(given))


@pytest.fixture
def material(database: Database) -> None:
    with database.writing() as session:
        few = dataset_row("dataset_3")
        few.facts = {**(few.facts or {}), "examples": {"train": 80, "test": 9}}
        session.add_all([model_row(), dataset_row(), dataset_row("dataset_2", task="unlabelled")])
        session.add_all([model_row("model_2", facts=FACTS.model_copy(update={"runs": False})), few])


@pytest.mark.usefixtures("material")
def test_it_begins_with_the_network_as_it_is_in_every_format(database: Database) -> None:
    study = asked(database)
    assert [point.recipe.steps for point in study.points] == [()]
    assert study.request.outputs == ("auto",)
    assert (study.best, study.gate) == (None, None)
    assert asked(database, outputs=["onnx"]).request.outputs == ("onnx",)
    assert asked(database, dataset="dataset_2").status == "queued"


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"dataset": None}, "budget_without_data"),
        ({"search": {"budget": {"max_quality_drop": 1.5}}}, "invalid_request"),
        ({"dataset": "dataset_3"}, "too_few_examples"),
        ({"model": "model_2"}, "empty_search_space"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_is_queued(database: Database, body: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        asked(database, **body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        {"search": {"budget": {}}},
        {"search": SEARCH, "recipes": [{"preset": "small"}]},
        {"search": SEARCH, "seeds": [0, 1]},
        {"search": {**SEARCH, "trials": 0}},
        {},
    ],
)
def test_what_makes_no_sense_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        StudyRequest.model_validate({"model": "model_1", "dataset": "dataset_1", **body})


def point(job: str, size: int, change: float, interval: tuple[float, float], **more: Any) -> StudyPoint:
    recipe = {"steps": [{"technique": "magnitude_pruning", "sparsity": size / 1000}]}
    known = {"job": job, "status": "succeeded", "recipe": recipe, "control": False, "seed": 0, "quality": 0.9 + change}
    figures = {"size_bytes": size, "macs": size, "speedup": 1000 / size, "latency_ms": 1.0}
    changes = {"quality_change": change, "quality_change_ci95": interval}
    return StudyPoint.model_validate({**known, **figures, **changes, **more})


CHEAP = point("cheap", 100, -0.009, (-0.02, 0.002))
SAFE = point("safe", 200, -0.001, (-0.005, 0.003))
SAFER = point("safer", 300, 0.0, (-0.004, 0.004))
WORSE = point("worse", 50, -0.2, (-0.25, -0.15))
RUNNING = StudyPoint.model_validate(
    {"job": "running", "status": "running", "recipe": {"steps": []}, "control": False, "seed": 0}
)


def among(*points: StudyPoint) -> Comparison:
    upload = StudyBaseline(size_bytes=1000, latency_ms=1.0, macs=1000, quality=0.9)
    return Comparison(points, (), upload, "accuracy", is_synthetic=False)


def search(minimize: str = "size", prefer: str = "proved", **budget: float) -> Search:
    bounds = budget or {"max_quality_drop": 0.01}
    return Search.model_validate({"budget": bounds, "minimize": minimize, "prefer": prefer})


def gate(**changes: tuple[float, float, float]) -> GateReading:
    """By job: the change, and the ends of its interval."""
    judged = Quality(metric="accuracy", value=0.9, examples=500, labelled=True, synthetic=False)
    files = (
        GateFile(job=job, file="model.onnx", quality=judged, change=change, change_ci95=(low, high))
        for job, (change, low, high) in changes.items()
    )
    return GateReading(baseline=judged, files=tuple(files))


@pytest.mark.parametrize("minimize", ["size", "latency", "macs"])
def test_the_gate_is_read_for_the_cheapest_and_for_the_cheapest_that_is_sure(minimize: str) -> None:
    sure = point("sure", 150, -0.003, (-0.009, 0.003))
    chosen = candidates(among(SAFER, WORSE, CHEAP, RUNNING, SAFE, sure), search(minimize))
    assert [each.job for each in chosen] == ["cheap", "safer", "sure", "safe"], "safer loses nothing"
    doubtful = candidates(among(CHEAP, point("better", 120, -0.008, (-0.018, 0.002))), search(minimize))
    assert [each.job for each in doubtful] == ["cheap", "better"]


@pytest.mark.parametrize(("speedup", "chosen"), [(9.7, "small"), (7.0, "fast")])
def test_of_what_is_as_good_as_equally_fast_the_smallest_is_read(speedup: float, chosen: str) -> None:
    fast, small = (
        point(job, size, 0.0, (-0.001, 0.001), speedup=at)
        for job, size, at in (("fast", 100, 10.0), ("small", 80, speedup))
    )
    assert [each.job for each in candidates(among(fast, small), search("latency"))] == [chosen]


def test_of_what_is_as_good_as_equally_small_too_the_one_that_loses_less_is_read() -> None:
    better, smaller = point("better", 101, 0.0, (-0.001, 0.001)), point("smaller", 100, -0.008, (-0.009, -0.007))
    read = candidates(among(better, smaller), search("latency"))
    assert read[0].job == "better"


def test_what_may_be_as_fast_is_read_too_and_the_time_at_the_gate_decides() -> None:
    """Trials are timed in brief, and one after another."""
    fast, small, slow = (
        point(job, size, 0.0, (-0.001, 0.001), speedup=at)
        for job, size, at in (("fast", 100, 10.0), ("small", 80, 8.2), ("slow", 60, 7.5))
    )
    assert [each.job for each in candidates(among(fast, small, slow), search("latency"))] == ["fast", "small"]
    assert [each.job for each in candidates(among(fast, small), search("macs"))] == ["small"]

    def best(**speedups: float) -> str:
        reading = gate(**dict.fromkeys(speedups, (0.0, 0.0, 0.0)))
        timed = tuple(
            file.model_copy(
                update={
                    "speedup": Speedup(
                        median=speedups[file.job], ci95=(1.0, 20.0), runtime_only=1.0, compression_only=1.0
                    )
                }
            )
            for file in reading.files
        )
        found = best_of_search(among(fast, small), search("latency"), reading.model_copy(update={"files": timed}))
        assert found is not None
        return found.job

    assert best(fast=9.4, small=9.1) == "small"
    assert best(fast=9.4, small=8.1) == "fast"


def test_where_no_proof_is_asked_for_one_between_cheap_and_certain_is_read_too() -> None:
    lucky, between = point("lucky", 50, -0.009, (-0.019, 0.001)), point("between", 60, -0.005, (-0.015, 0.005))
    dearer, certain = point("dearer", 80, -0.005, (-0.015, 0.005)), point("certain", 300, 0.0, (-0.001, 0.001))
    trials = among(lucky, between, dearer, certain)
    assert [each.job for each in candidates(trials, search())] == ["lucky", "certain"]
    assert [each.job for each in candidates(trials, search(prefer="cheapest"))] == ["lucky", "certain", "between"]
    assert [each.job for each in candidates(among(lucky, certain), search(prefer="cheapest"))] == ["lucky", "certain"]
    assert [each.job for each in candidates(among(certain), search(prefer="cheapest"))] == ["certain"]


def test_one_that_is_both_is_read_once_and_none_where_none_keeps_to_the_budget() -> None:
    certain = point("certain", 90, 0.0, (-0.001, 0.001))
    assert [each.job for each in candidates(among(certain, SAFE, SAFER), search())] == ["certain"]
    assert candidates(among(WORSE, RUNNING), search()) == []


def test_until_the_gate_is_read_the_choice_half_speaks() -> None:
    best = best_of_search(among(WORSE, CHEAP, SAFE), search(), None)
    assert best is not None
    assert (best.job, best.met_budget) == ("cheap", "measured")
    assert "the other half, which would prove it, was not read" in best.why
    assert best_of_search(among(RUNNING), search(), None) is None


def test_what_the_gate_proves_is_best_even_if_another_is_cheaper() -> None:
    reading = gate(cheap=(-0.002, -0.012, 0.008), safe=(-0.001, -0.006, 0.004))
    best = best_of_search(among(CHEAP, SAFE), search(), reading)
    assert best is not None
    assert (best.job, best.met_budget) == ("safe", "proved")
    assert "95 % interval −0.6 to +0.4 points" in best.why
    assert "the smallest that is proved, of 2 trials" in best.why
    assert "All of that lies inside the budget of 1.00 points" in best.why
    assert "(cheap) costs less" in best.why
    assert "there accuracy changed by −0.2 points, 95 % interval −1.2 to +0.8 points." in best.why
    both = best_of_search(among(CHEAP, SAFE), search(), gate(safe=(0, -0.005, 0.005), cheap=(0, -0.009, 0.009)))
    assert both is not None
    assert (both.job, both.met_budget) == ("cheap", "proved")
    assert "costs less" not in both.why


def test_the_cheapest_can_be_preferred_to_a_proof() -> None:
    lucky = point("lucky", 50, 0.0, (-0.001, 0.001))
    reading = gate(
        lucky=(-0.02, -0.03, -0.01), cheap=(-0.008, -0.018, 0.002), safe=(-0.001, -0.006, 0.004), safer=(0, 0, 0)
    )
    best = best_of_search(among(lucky, CHEAP, SAFE, SAFER), search(prefer="cheapest"), reading)
    assert best is not None
    assert (best.job, best.met_budget) == ("cheap", "measured")
    assert "the smallest that keeps to the budget there, of 4 trials" in best.why
    assert "(safe) is proved and costs more" in best.why
    assert best.why.count("costs") == 1, "neither what is still dearer nor what doesn't keep to it"
    proved = best_of_search(among(CHEAP, SAFE), search(prefer="cheapest"), gate(cheap=(0, 0, 0), safe=(0, 0, 0)))
    assert proved is not None
    assert (proved.job, proved.met_budget) == ("cheap", "proved")
    assert "is proved and" not in proved.why


def test_where_nothing_is_proved_it_says_how_many_examples_a_proof_would_take() -> None:
    reading = gate(cheap=(-0.009, -0.02, 0.002), safe=(-0.002, -0.018, 0.014))
    best = best_of_search(among(CHEAP, SAFE), search(), reading)
    assert best is not None
    assert (best.job, best.met_budget) == ("safe", "measured")
    # Half of the interval is 1.6 points and may be 0.8: a quarter of its variance, so four times the 500 examples.
    assert "about 4,000 test examples in the data set would prove it" in best.why
    assert reading.examples_to_prove(reading.files[1], 0.002) is None


def test_a_change_as_large_as_the_budget_keeps_to_it_and_can_not_be_proved() -> None:
    reading = gate(cheap=(0.97 - 0.98, -0.021, 0.001))
    best = best_of_search(among(CHEAP), search(), reading)
    assert best is not None
    assert best.met_budget == "measured"
    assert "no number of examples" in best.why


def test_what_the_gate_refutes_is_not_met() -> None:
    best = best_of_search(among(CHEAP), search(), gate(cheap=(-0.05, -0.07, -0.03)))
    assert best is not None
    assert best.met_budget == "no"
    assert "Allow 5.00 points" in best.why


def test_where_nothing_keeps_to_the_budget_the_nearest_is_shown_with_what_it_would_take() -> None:
    best = best_of_search(among(WORSE, SAFE), search(max_quality_drop=0.01, max_size_bytes=40), None)
    assert best is not None
    assert (best.job, best.met_budget) == ("worse", "no")
    assert "It would take `max_quality_drop` 20.0 points and `max_size_bytes` 50 B." in best.why
    assert "each by itself: `max_quality_drop` 0.100 points, `max_size_bytes` 50 B" in best.why


def test_without_a_bound_of_quality_as_much_of_it_is_kept_as_the_others_leave_room_for() -> None:
    within = search(max_size_bytes=250)
    assert [each.job for each in candidates(among(WORSE, CHEAP, SAFE, SAFER), within)] == ["safe"]
    best = best_of_search(among(SAFE), within, gate(safe=(-0.001, -0.006, 0.004)))
    assert best is not None
    assert best.met_budget == "proved"
