"""What a file's answers are worth, on the test examples and beside the upload's own answers."""

from collections.abc import Callable

import numpy as np

from app.core.errors import Problem
from app.core.intervals import Interval, paired_change_ci95, wilson_ci95
from app.core.measurements import Metric, PairedAnswers, Quality
from worker.evaluation import answers as compare
from worker.evaluation.answers import Array
from worker.evaluation.examples import Batch, Examples
from worker.evaluation.paired import paired_answers

NOT_FINITE = "answers_not_finite"


def answer_all(run: Callable[[Batch], list[Array]], examples: Examples, report: Callable[[float], None]) -> Array:
    """The first output for every example, of shape (examples, ...); `report` is told the fraction done."""
    parts: list[Array] = []
    for batch in examples.batches():
        outputs = run(batch)
        size = len(batch[0])
        if not outputs or outputs[0].ndim == 0 or len(outputs[0]) != size:
            raise Problem(
                f"For {size} examples the network's first output doesn't have {size} rows, so answers can't be "
                "counted. Give it an output whose first dimension is the batch.",
                code="output_without_batch",
                title="The network's answers can't be told apart",
            )
        parts.append(outputs[0])
        report(sum(map(len, parts)) / examples.count)
    return np.concatenate(parts)


def check_answers(answers: Array) -> None:
    """Raises Problem where the upload answers test examples with NaN: other files can't be compared with that."""
    bad = np.flatnonzero(np.isnan(answers).reshape(len(answers), -1).any(axis=1))
    if bad.size:
        raise Problem(
            f"The uploaded network itself answers NaN to {bad.size:,} of the {len(answers):,} test examples, first to "
            f"example {bad[0]}. Scale the data as they were scaled for training, or remove such examples.",
            code=NOT_FINITE,
            title="The network's answers are not finite",
        )


def judge(answers: Array, reference: Array, examples: Examples) -> Quality:
    """`answers` of shape (examples, ...) by the metric of the examples' task, and against the upload's answers."""
    metric = compare.metric_of(examples.labels)
    regression = metric == "mean_squared_error"
    scored = not regression and compare.has_class_scores(reference, examples.labels)
    return Quality(
        metric=metric,
        value=float(_values(metric, answers, reference, examples).mean()),
        examples=examples.count,
        labelled=examples.labels is not None,
        synthetic=examples.synthetic,
        agreement=None if regression else float(compare.agreeing(answers, reference, examples.labels).mean()),
        cosine=_finite(compare.cosine(answers, reference)),
        kl_divergence=_finite(compare.kl_divergence(answers, reference, examples.labels)) if scored else None,
        **(_of_classes(answers, examples.labels) if metric == "accuracy" and examples.labels is not None else {}),
    )


def _of_classes(answers: Array, labels: Array) -> dict[str, float | None]:
    in_five, entropy = compare.among_highest(answers, labels, 5), compare.cross_entropy(answers, labels)
    return {
        "top_5": None if in_five is None else float(in_five.mean()),
        "cross_entropy": None if entropy is None else _finite(entropy),
    }


def paired(answers: Array, reference: Array, examples: Examples) -> PairedAnswers | None:
    """Of labelled classes only."""
    metric = compare.metric_of(examples.labels)
    if metric != "accuracy" or examples.labels is None:
        return None
    before = _values(metric, reference, reference, examples)
    return paired_answers(before, _values(metric, answers, reference, examples), examples.labels)


def change_ci95(answers: Array, reference: Array, examples: Examples) -> Interval:
    """A 95 % interval of the change of the metric's value against the upload, in the metric's own unit.

    Accuracy: by the answers lost and gained; agreement: Wilson's; mean squared error: the normal interval of the
    mean of each example's difference.
    """
    metric = compare.metric_of(examples.labels)
    now = _values(metric, answers, reference, examples)
    if metric == "agreement":
        low, high = wilson_ci95(float(now.sum()), now.size)
        return low - 1, high - 1
    before = _values(metric, reference, reference, examples)
    if metric == "accuracy":
        return paired_change_ci95(int((before & ~now).sum()), int((~before & now).sum()), now.size)
    change = now - before
    half = 1.96 * float(change.std()) / np.sqrt(len(change))
    return float(change.mean() - half), float(change.mean() + half)


def fall(answers: Array, before: Array, reference: Array, examples: Examples) -> tuple[float, float]:
    """What the metric's value falls by from the answers `before` on, in its own unit (a squared error by what it
    rises), and the standard error of that: both answered the same examples."""
    metric = compare.metric_of(examples.labels)
    change = _values(metric, before, reference, examples) * 1.0 - _values(metric, answers, reference, examples)
    sign = -1.0 if metric == "mean_squared_error" else 1.0
    return sign * float(change.mean()), float(change.std() / np.sqrt(change.size))


def _values(metric: Metric, answers: Array, reference: Array, examples: Examples) -> Array:
    """What the metric's value is the mean of."""
    values = compare.scores(metric, answers, reference, examples.labels)
    if not np.isfinite(values).all():
        raise Problem(
            "The answers to some test examples are not finite numbers, so their error can't be measured. "
            "Check the scale of the test data.",
            code=NOT_FINITE,
            title="The network's answers are not finite",
        )
    return values


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
