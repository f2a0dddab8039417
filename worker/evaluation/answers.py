"""Comparing answers: arrays of shape (examples, ...), each measure one function.

`reference` is always the upload's answers to the same examples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.errors import Problem
from app.core.measurements import Metric

Array = NDArray[Any]
_PROBABILITY_SUM_TOLERANCE = 1e-3


def metric_of(labels: Array | None) -> Metric:
    """Integer labels are classes, floats are values to come near to; without any, the upload is the yardstick."""
    if labels is None:
        return "agreement"
    return "mean_squared_error" if labels.dtype.kind == "f" else "accuracy"


def scores(metric: Metric, answers: Array, reference: Array, labels: Array | None) -> Array:
    """What the metric's value is the mean of: one number for each choice or example."""
    if labels is None:
        return agreeing(answers, reference)
    try:
        return correct(answers, reference, labels) if metric == "accuracy" else squared_errors(answers, labels)
    except ValueError as error:
        raise Problem(
            f"For {len(labels)} examples the network answers with shape {answers.shape} and the labels have shape "
            f"{labels.shape}. Upload labels with one class index for each choice, or one target for each value.",
            code="labels_do_not_fit",
            title="The labels don't fit the network's answers",
        ) from error


def class_axis(answers: Array, labels: Array | None = None) -> int:
    """The axis that holds one score for each class: the last one of three (sequences), else torch's own, 1.

    Labels decide where they can: theirs is the shape of the answers without that axis.
    """
    usual = 2 if answers.ndim == 3 else 1
    if labels is None or answers.ndim <= 2:
        return usual
    shapes = {axis: answers.shape[:axis] + answers.shape[axis + 1 :] for axis in (usual, 1, answers.ndim - 1)}
    return next((axis for axis, shape in shapes.items() if shape == labels.shape), usual)


def has_class_scores(answers: Array, labels: Array | None = None) -> bool:
    return answers.ndim > 1 and answers.shape[class_axis(answers, labels)] > 1


def correct(answers: Array, reference: Array, labels: Array) -> Array:
    """One boolean for each label."""
    right: Array = _chosen(answers, reference, labels).reshape(labels.shape) == labels
    return right


def agreeing(answers: Array, reference: Array, labels: Array | None = None) -> Array:
    """One boolean for each choice of a class: whether it is the upload's."""
    same: Array = _chosen(answers, reference, labels) == _chosen(reference, reference, labels)
    return same


def _chosen(answers: Array, reference: Array, labels: Array | None) -> Array:
    """The class with the highest score. One value an example is a yes or a no: above a half where the upload
    answers with probabilities (all within 0..1), else above 0 (logits)."""
    if has_class_scores(answers, labels):
        highest: Array = answers.argmax(axis=class_axis(answers, labels))
        return highest
    decisions: Array = (_rows(answers)[:, 0] > (0.5 if are_probabilities(reference, labels) else 0.0)).astype(np.int64)
    return decisions


def are_probabilities(answers: Array, labels: Array | None = None) -> bool:
    """Whether all of them are, and not logits: each example's sum is 1, or its one value lies within 0..1."""
    if not has_class_scores(answers, labels):
        return bool(answers.min() >= 0 and answers.max() <= 1)
    sums = answers.sum(axis=class_axis(answers, labels))
    return bool(answers.min() >= 0 and np.allclose(sums, 1, atol=_PROBABILITY_SUM_TOLERANCE))


def among_highest(answers: Array, labels: Array, count: int) -> Array | None:
    """One boolean for each label: whether its score is among the `count` highest. None where there are no more."""
    axis = class_axis(answers, labels)
    if not has_class_scores(answers, labels) or answers.shape[axis] <= count:
        return None
    highest = np.argpartition(np.moveaxis(answers, axis, -1), -count, axis=-1)[..., -count:]
    found: Array = (highest.reshape(*labels.shape, count) == labels[..., None]).any(axis=-1)
    return found


def cross_entropy(answers: Array, labels: Array) -> float | None:
    """The mean in nats, over softmax where the answers aren't probabilities already. None where a label names none of
    the scores."""
    axis = class_axis(answers, labels)
    if not has_class_scores(answers, labels) or labels.min() < 0 or labels.max() >= answers.shape[axis]:
        return None
    scores = _log_probabilities(answers, axis).reshape(*labels.shape, -1)
    return -float(np.take_along_axis(scores, labels[..., None], axis=-1).mean())


def squared_errors(answers: Array, targets: Array) -> Array:
    """One mean squared error for each example."""
    errors: Array = np.square(_rows(answers) - _rows(targets)).mean(axis=1)
    return errors


def relative_error(answers: Array, reference: Array) -> float:
    """The mean squared error as a fraction of the reference's variance (the inverse of the signal-to-noise ratio);
    infinite where answers aren't finite."""
    if not reference.size:
        return 0.0
    error = float(((reference - answers) ** 2).mean() / max(float(reference.var()), 1e-12))
    return error if np.isfinite(error) else np.inf


def cosine(answers: Array, reference: Array) -> float:
    """The mean over examples of the cosine between both answers; with one value an example, one cosine over all."""
    left, right = _rows(answers), _rows(reference)
    if left.shape[1] == 1:
        left, right = left.T, right.T
    lengths: Array = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines = np.where(both_zero, 1.0, (left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))
    return float(np.clip(cosines.mean(), -1.0, 1.0))


def joined(outputs: Sequence[Array]) -> Array:
    """All values of all outputs, one after another."""
    return np.concatenate([output.reshape(-1).astype(np.float64) for output in outputs])


def cosine_over_all(answers: Array, reference: Array) -> float | None:
    """One cosine of all values (of shape [n]); None where one of them is zero throughout."""
    lengths = float(np.linalg.norm(answers) * np.linalg.norm(reference))
    return float(np.clip(answers @ reference / lengths, -1, 1)) if lengths else None


def kl_divergence(answers: Array, reference: Array, labels: Array | None = None) -> float:
    """The mean of KL(reference || answers) in nats, over softmax where the answers aren't probabilities already."""
    axis = class_axis(reference, labels)
    target, given = _log_probabilities(reference, axis), _log_probabilities(answers, axis)
    return max(0.0, float((np.exp(target) * (target - given)).sum(axis=-1).mean()))


def _log_probabilities(answers: Array, axis: int) -> Array:
    scores = np.moveaxis(answers, axis, -1).astype(np.float64)
    if scores.min() >= 0 and np.allclose(scores.sum(axis=-1), 1, atol=_PROBABILITY_SUM_TOLERANCE):
        scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    shifted = scores - scores.max(axis=-1, keepdims=True)
    normalised: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def _rows(answers: Array) -> Array:
    return answers.reshape(len(answers), -1).astype(np.float64)
