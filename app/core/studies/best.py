"""Which recipe of a study to take, and why, in plain words."""

from collections.abc import Iterator, Sequence

from app.core.choosing import TOLERATED, TOLERATED_ERROR, error, is_tolerated
from app.core.job_options import Goal
from app.core.measurements import Metric
from app.core.recipes.wording import begins_a_sentence, in_words
from app.core.studies.comparing import Comparison
from app.core.studies.front import relative_time
from app.core.studies.schemas import Best, StudyGroup
from app.core.studies.wording import against_upload


def best_of(comparison: Comparison, minimize: Goal) -> Best | None:
    """The fastest (or smallest) of those that keep the quality; where none does, the one that comes nearest.

    Never a control. With several seeds it is the job of the first one: to choose among them by what test data say
    would be to choose luck.
    """
    recipes = [group for group in comparison.groups if not group.control]
    if not recipes:
        return None
    keeping = _keeping_quality(recipes, comparison)
    if keeping is None:
        group = _least(recipes, minimize)
        why = f"{begins_a_sentence(group.recipe)} is {_superlative(minimize)}; no quality was measured."
        return Best(job=group.jobs[0], met_budget="no", why=why)
    if not keeping:
        group = min(recipes, key=lambda each: _error(each, comparison.metric))
        return Best(job=group.jobs[0], met_budget="no", why=_why_nearest(group, comparison))
    group = _least(keeping, minimize)
    return Best(job=group.jobs[0], met_budget="measured", why=_why_best(group, len(keeping), comparison, minimize))


def _keeping_quality(groups: Sequence[StudyGroup], comparison: Comparison) -> list[StudyGroup] | None:
    """Those that lose no more than is tolerated against the upload; None where that isn't known."""
    metric, baseline = comparison.metric, comparison.baseline
    if metric is None or baseline is None or baseline.quality is None:
        return None
    least = error(metric, baseline.quality)
    return [group for group in groups if is_tolerated(metric, _error(group, metric), least)]


def _error(group: StudyGroup, metric: Metric | None) -> float:
    return float("inf") if group.quality is None or metric is None else error(metric, group.quality.mean)


def _least(groups: Sequence[StudyGroup], minimize: Goal) -> StudyGroup:
    return min(groups, key=lambda group: group.size_bytes.mean if minimize == "size" else relative_time(group))


def _superlative(minimize: Goal) -> str:
    return "the smallest" if minimize == "size" else "the fastest"


def _why_best(group: StudyGroup, keeping: int, comparison: Comparison, minimize: Goal) -> str:
    place = _superlative(minimize)
    which = "the only recipe that loses" if keeping == 1 else f"{place} of the {keeping} recipes that lose"
    return (
        f"{begins_a_sentence(group.recipe)} is {which} {_tolerance(comparison.metric)} against the upload: "
        f"{_figures(group, comparison)}. It was chosen by the same test data that it was measured on."
    )


def _why_nearest(group: StudyGroup, comparison: Comparison) -> str:
    return (
        f"No recipe loses {_tolerance(comparison.metric)} against the upload. {begins_a_sentence(group.recipe)} comes "
        f"nearest: {_figures(group, comparison)}. Remove less, train longer afterwards, or keep sensitive layers out "
        "by `exclude`."
    )


def _tolerance(metric: Metric | None) -> str:
    if metric == "mean_squared_error":
        return f"at most {TOLERATED_ERROR:.0%} of its error"
    return f"at most {100 * TOLERATED:g} point of {metric}"


def _figures(group: StudyGroup, comparison: Comparison) -> str:
    speedup, quality = (spread.mean if spread else None for spread in (group.speedup, group.quality))
    return against_upload(comparison, round(group.size_bytes.mean), speedup, quality)


def warnings_about(comparison: Comparison, failed: int) -> Iterator[str]:
    if failed:
        yield f"{failed} of {len(comparison.points)} jobs failed, and only the others are compared."
    if comparison.is_synthetic:
        yield (
            "There were no test data: quality is how often a recipe answers random inputs as the upload does. Send a "
            "data set to know what real inputs would say."
        )
    controls = [group for group in comparison.groups if group.control and group.on_front]
    if controls:
        named = "; ".join(in_words(group.recipe) for group in controls)
        yield (
            f"A control is on the front: {named}. What removes as much with more thought is not better in everything "
            "there, or only by chance: look at the charts, and run more seeds."
        )
