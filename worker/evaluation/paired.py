"""The upload and a file on the same labelled examples: which answers were lost, which gained, and of which classes."""

import numpy as np

from app.core.intervals import mcnemar_p, paired_change_ci95
from app.core.measurements import MOST_CLASSES, ClassChange, PairedAnswers
from worker.evaluation.answers import Array


def paired_answers(before: Array, now: Array, labels: Array) -> PairedAnswers:
    """`before` and `now` say of each label whether it is met."""
    before, now, labels = before.ravel(), now.ravel(), labels.ravel()
    lost, gained = int((before & ~now).sum()), int((~before & now).sum())
    changes = [_of_class(int(label), before, now, labels == label) for label in np.unique(labels)]
    changes.sort(key=lambda change: (change.after - change.before, change.label))
    return PairedAnswers(
        lost=lost, gained=gained, mcnemar_p=mcnemar_p(lost, gained), classes=tuple(changes[:MOST_CLASSES])
    )


def _of_class(label: int, before: Array, now: Array, chosen: Array) -> ClassChange:
    was, now_is = before[chosen], now[chosen]
    lost, gained = int((was & ~now_is).sum()), int((~was & now_is).sum())
    return ClassChange(
        label=label,
        examples=int(chosen.sum()),
        before=float(was.mean()),
        after=float(now_is.mean()),
        change_ci95=paired_change_ci95(lost, gained, int(chosen.sum())),
    )
