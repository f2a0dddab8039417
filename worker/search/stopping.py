"""Whether a trial that is still in training is hopeless: it stands far lower than any did, at the same place, that kept
to the budget in the end.

Optuna's percentile pruner decides (its median pruner is the one of 50), on the trials that have kept to the budget
alone, with a percentile of 100: what is much smaller starts lower, and half of the good ones stand below their median.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from sqlalchemy import select

from app.core import figures
from app.core.database import Database
from app.core.measurements import Epoch, Metric, Result
from app.core.messages import EpochEnded
from app.core.queue import Claim
from app.core.recipes import TECHNIQUES
from app.core.studies.candidates import cost_of
from app.core.studies.comparing import StudyJob, compared
from app.core.studies.requests import Search, StudyRequest
from app.core.studies.wording import called
from app.core.tables import JobRow, StudyRow

# A training is looked at after each third of its epochs but the last.
PARTS = 3
# Trainings that kept to the budget; before that nothing is known.
FEWEST_KEPT = 3
# Of what the budget allows: so far it may stand below the lowest of them. What is held back is few examples, and what
# is smaller than all before begins lower.
MARGIN = 3

Curve = Mapping[int, float]
"""Validation quality after each part of the training, the larger the better."""


@dataclass(frozen=True)
class Hopeless:
    ended: Epoch
    kept: int
    lowest: float

    @property
    def why(self) -> str:
        metric = self.ended.metric
        assert metric is not None
        assert self.ended.validation_quality is not None
        stood, lowest = (figures.quality(metric, abs(each)) for each in (self.ended.validation_quality, self.lowest))
        return (
            f"Stopped early, after epoch {self.ended.epoch} of {self.ended.epochs}: {called(metric)} on held-back "
            f"examples was {stood}. Of the {self.kept} trainings so far that kept to the budget the lowest stood at "
            f"{lowest} after as many parts of them."
        )


def hopeless(database: Database, claim: Claim, message: EpochEnded) -> Hopeless | None:
    """None of jobs that aren't trials, too."""
    part, ended = _part_of(message.epoch), message.epoch
    if claim.study is None or part is None or ended.metric is None or ended.validation_quality is None:
        return None
    if not _is_recovery(claim.request["recipe"]["steps"][message.step]["technique"]):
        return None
    with database.reading() as session:
        study = session.get_one(StudyRow, claim.study)
        search = StudyRequest.model_validate(study.request).search
        if search is None:
            return None
        done = select(JobRow).where(
            JobRow.study_id == claim.study, JobRow.kind == "compress", JobRow.result.is_not(None)
        )
        trials = [StudyJob.of(row) for row in session.scalars(done.order_by(JobRow.id))]
    curves = [curve for curve in _kept_curves(trials, search) if part in curve]
    if not _is_below_all(_upwards(ended.metric, ended.validation_quality), part, curves, search):
        return None
    return Hopeless(ended, len(curves), min(curve[part] for curve in curves))


def _is_recovery(technique: str) -> bool:
    return TECHNIQUES[technique].stage == "recover"


def _part_of(epoch: Epoch) -> int | None:
    return next((part for part in range(1, PARTS) if epoch.epoch == ceil(epoch.epochs * part / PARTS)), None)


def _upwards(metric: Metric, quality: float) -> float:
    return -quality if metric == "mean_squared_error" else quality


def _kept_curves(trials: Sequence[StudyJob], search: Search) -> Iterator[Curve]:
    comparison = compared(trials)
    for trial, point in zip(trials, comparison.points, strict=True):
        if trial.result is not None and not search.budget.needed_by(cost_of(point, comparison.metric)):
            yield _curve(trial.result)


def _curve(result: Result) -> Curve:
    """Of its first training that was to bring quality back; empty where there was none, or another trial ran it."""
    trained = (step for step in result.steps if step.epochs and _is_recovery(step.technique))
    epochs = next((step.epochs for step in trained if step.run_by is None), ())
    parts = {_part_of(epoch): epoch for epoch in epochs}
    return {
        part: _upwards(epoch.metric, epoch.validation_quality)
        for part, epoch in parts.items()
        if part is not None and epoch.metric is not None and epoch.validation_quality is not None
    }


def _is_below_all(quality: float, part: int, curves: Sequence[Curve], search: Search) -> bool:
    import optuna  # which takes a second, and not every worker searches

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.PercentilePruner(100.0, n_startup_trials=FEWEST_KEPT)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trials(
        [optuna.trial.create_trial(value=curve[part], intermediate_values={part: curve[part]}) for curve in curves]
    )
    trial = study.ask()
    trial.report(quality + MARGIN * (search.budget.max_quality_drop or 0.0), part)
    return trial.should_prune()
