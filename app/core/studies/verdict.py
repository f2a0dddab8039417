"""Which trial of a search to take, whether its budget is kept, and why, in plain words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite

from app.core import figures
from app.core.budgets import ROUNDING, Bound, Budget, Cost
from app.core.measurements import Metric
from app.core.recipes.wording import begins_a_sentence
from app.core.studies.candidates import allowed_drop, candidates, cheapest, cost_of, measured_points, value_of
from app.core.studies.comparing import Comparison
from app.core.studies.gate import GateFile, GateReading
from app.core.studies.requests import Search
from app.core.studies.schemas import Best, MetBudget, StudyPoint
from app.core.studies.wording import against_upload, called


def best_of_search(comparison: Comparison, search: Search, gate: GateReading | None) -> Best | None:
    """None until a trial has succeeded. Until the gate was read, what the choice half says."""
    points = measured_points(comparison.points)
    if not points:
        return None
    if gate is not None:
        return _best_by_gate(comparison, search, gate)
    chosen = candidates(comparison, search)
    if not chosen:
        return _nearest(points, comparison, search)
    why = (
        f"{begins_a_sentence(chosen[0].recipe)} is the one to take of the trials that keep to the budget so "
        f"far: {_figures(chosen[0], comparison)}. That is on the half of the test examples by which it was chosen; the "
        "other half, which would prove it, was not read."
    )
    return Best(job=chosen[0].job, met_budget="measured", why=why)


def _best_by_gate(comparison: Comparison, search: Search, gate: GateReading) -> Best:
    """The least cost of what is proved; else, of what keeps to the budget here too, what loses least. The least cost of
    all that keep to it here, where that was preferred to a proof."""
    known = {point.job: point for point in comparison.points}
    points = {file.job: _timed_anew(known[file.job], file) for file in gate.files}
    met = {file.job: _met(file, gate, search.budget) for file in gate.files}
    file = _taken(points, met, comparison, search, gate)
    reasons = _reasons(file, met[file.job], points[file.job], comparison, search, gate)
    others: Iterator[str] = iter(())
    if search.prefer == "proved" and met[file.job] == "proved":
        others = _cheaper_ones(file, points, comparison, search, gate)
    elif met[file.job] == "measured":
        proved = [each for each in gate.files if met[each.job] == "proved"]
        others = _proved_ones(proved, points, comparison, search, gate)
    return Best(job=file.job, met_budget=met[file.job], why=" ".join((*reasons, *others)))


def _taken(
    points: Mapping[str, StudyPoint],
    met: Mapping[str, MetBudget],
    comparison: Comparison,
    search: Search,
    gate: GateReading,
) -> GateFile:
    by_cost = [points[job] for job, how in met.items() if how in _taken_by_cost(search)]
    if not by_cost:
        return min(gate.files, key=lambda file: (met[file.job] == "no", gate.drop(file)))
    job = cheapest(by_cost, search, comparison.metric).job
    return next(file for file in gate.files if file.job == job)


def _taken_by_cost(search: Search) -> tuple[MetBudget, ...]:
    return ("proved",) if search.prefer == "proved" else ("proved", "measured")


def _proved_ones(
    proved: Sequence[GateFile],
    points: Mapping[str, StudyPoint],
    comparison: Comparison,
    search: Search,
    gate: GateReading,
) -> Iterator[str]:
    """Of the cheapest: whoever preferred the least cost may yet want it."""
    if proved:
        file = min(proved, key=lambda each: value_of(points[each.job], search, comparison.metric))
        named, figured = _named_and_figured(points[file.job], comparison)
        yield f"{named} ({file.job}) is proved and costs more, {figured}: there {_changed(file, gate)}."


def _cheaper_ones(
    chosen: GateFile, points: Mapping[str, StudyPoint], comparison: Comparison, search: Search, gate: GateReading
) -> Iterator[str]:
    """Whoever can do without a proof may want one of these."""
    most = value_of(points[chosen.job], search, comparison.metric)
    for file in gate.files:
        point = points[file.job]
        if value_of(point, search, comparison.metric) < most:
            named, figured = _named_and_figured(point, comparison)
            yield f"{named} ({file.job}) costs less, {figured}, and is not proved: there {_changed(file, gate)}."


def _changed(file: GateFile, gate: GateReading) -> str:
    change, interval = figures.change(gate.metric, file.change), figures.change_interval(gate.metric, file.change_ci95)
    return f"{called(gate.metric)} changed by {change}, 95 % interval {interval}"


def _named_and_figured(point: StudyPoint, comparison: Comparison) -> tuple[str, str]:
    return begins_a_sentence(point.recipe), _figures(point, comparison)


def _timed_anew(point: StudyPoint, file: GateFile) -> StudyPoint:
    """A trial is timed in brief."""
    return point if file.speedup is None else point.model_copy(update={"speedup": file.speedup.median})


def _met(file: GateFile, gate: GateReading, budget: Budget) -> MetBudget:
    """Sizes are known, and a latency is only ever measured."""
    allowed = allowed_drop(budget) + ROUNDING
    if gate.largest_drop(file) <= allowed:
        is_sure = budget.max_quality_drop is not None or budget.max_latency_ms is None
        return "proved" if is_sure else "measured"
    return "measured" if gate.drop(file) <= allowed else "no"


def _reasons(
    file: GateFile, met: MetBudget, point: StudyPoint, comparison: Comparison, search: Search, gate: GateReading
) -> Iterator[str]:
    trials, allowed = len(measured_points(comparison.points)), search.budget.max_quality_drop
    named, figured = _named_and_figured(point, comparison)
    yield f"{named}, as {file.file}, is {_chosen_as(met, search)}, of {trials} trials: {figured}."
    examples = file.quality.examples
    yield f"On {examples} test examples that neither training nor the choice among trials saw, {_changed(file, gate)}."
    if allowed is None:
        return
    bound = _written("max_quality_drop", allowed, gate.metric)
    if met == "proved":
        yield f"All of that lies inside the budget of {bound}."
    elif met == "measured":
        needed = gate.examples_to_prove(file, allowed)
        yield f"That is inside the budget of {bound}, and the interval is not: {_proof(needed)}"
    else:
        yield (
            f"The budget of {bound} was kept on the examples by which it was chosen, and not on these. Allow "
            f"{_written('max_quality_drop', gate.drop(file), gate.metric)}, send more test examples, or search longer."
        )


def _proof(needed: int | None) -> str:
    if needed is None:
        return "no number of examples would prove a change that is as large as the budget."
    return f"about {2 * needed:,} test examples in the data set would prove it, of which the gate gets half."


def _chosen_as(met: MetBudget, search: Search) -> str:
    if met not in _taken_by_cost(search):
        return "the one to take"
    return f"{_superlative(search)} that {'is proved' if search.prefer == 'proved' else 'keeps to the budget there'}"


def _nearest(points: Sequence[StudyPoint], comparison: Comparison, search: Search) -> Best:
    metric, budget = comparison.metric, search.budget
    nearest = min(points, key=lambda point: budget.excess(cost_of(point, metric)))
    needed = budget.needed_by(cost_of(nearest, metric))
    known = [f"`{name}` {_written(name, value, metric)}" for name, value in needed.items() if isfinite(value)]
    why = (
        f"None of {len(points)} trials keeps to the budget. {begins_a_sentence(nearest.recipe)} comes nearest: "
        f"{_figures(nearest, comparison)}. {_relaxed(known)}{' '.join(_bounds(points, comparison, search))}"
    )
    return Best(job=nearest.job, met_budget="no", why=why)


def _relaxed(known: Sequence[str]) -> str:
    if not known:
        return "Its quality could not be measured. "
    return f"It would take {' and '.join(known)}. "


def _bounds(points: Sequence[StudyPoint], comparison: Comparison, search: Search) -> Iterator[str]:
    """How far the trials came in each bound alone."""
    readings: dict[Bound, Callable[[Cost], float | None]] = {
        "max_quality_drop": lambda cost: cost.quality_drop,
        "max_size_bytes": lambda cost: cost.size_bytes,
        "max_latency_ms": lambda cost: cost.latency_ms,
    }
    costs = [cost_of(point, comparison.metric) for point in points]
    least = {name: [v for v in map(readings[name], costs) if v is not None] for name in search.budget.bounds}
    written = [f"`{name}` {_written(name, min(values), comparison.metric)}" for name, values in least.items() if values]
    if written:
        yield f"The least that any trial came to, each by itself: {', '.join(written)}."


def _written(bound: Bound, value: float, metric: Metric | None) -> str:
    if bound == "max_size_bytes":
        return figures.size(round(value))
    if bound == "max_latency_ms":
        return figures.milliseconds(value)
    if metric == "mean_squared_error":
        return figures.signed_digits(value)
    return f"{figures.signed_digits(100 * value)} points"


def _superlative(search: Search) -> str:
    if search.budget.max_quality_drop is None:
        return "the one that loses least"
    return {"latency": "the fastest", "size": "the smallest", "macs": "the one with the fewest multiply-accumulates"}[
        search.minimize
    ]


def _figures(point: StudyPoint, comparison: Comparison) -> str:
    return against_upload(comparison, point.size_bytes or 0, point.speedup, point.quality)
