"""Each measure on answers small enough to work out by hand."""

import numpy as np
import pytest

from worker.evaluation import answers as compare

SCORES = np.array([[2.0, 1.0], [0.0, 3.0]], np.float32)


def test_accuracy_of_scores_and_of_sequences() -> None:
    assert compare.correct(SCORES, SCORES, np.array([0, 0])).tolist() == [True, False]
    sequences = np.stack([SCORES, SCORES])
    assert compare.correct(sequences, sequences, np.array([[0, 1], [1, 1]])).tolist() == [[True, True], [False, True]]


def test_accuracy_of_pixels_reads_classes_from_axis_one() -> None:
    pixels = np.zeros((1, 2, 2, 2), np.float32)
    pixels[0, 1, 0, 0] = 1
    assert compare.correct(pixels, pixels, np.array([[[1, 0], [0, 1]]])).tolist() == [[[True, True], [True, False]]]


def test_one_value_is_a_logit_or_a_probability_as_the_upload_has_it() -> None:
    labels = np.array([1, 0])
    logits = np.array([[0.3], [-4.0]], np.float32)
    assert compare.correct(logits, logits, labels).all()
    probabilities = np.array([[0.7], [0.3]], np.float32)
    slightly_above_one = np.array([[1.01], [0.3]], np.float32)
    assert compare.correct(slightly_above_one, probabilities, labels).all()


def test_divergence_of_scores_and_of_their_probabilities_is_the_same() -> None:
    other = np.array([[1.0, 1.0], [0.0, 3.0]], np.float32)

    def softmax(scores: np.ndarray) -> np.ndarray:
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    by_scores = compare.kl_divergence(other, SCORES)
    assert by_scores == pytest.approx(compare.kl_divergence(softmax(other), softmax(SCORES)), abs=1e-6)
    first = softmax(SCORES)[0]
    assert by_scores == pytest.approx((first * np.log(first / 0.5)).sum() / 2, abs=1e-6)


def test_cosine_is_a_mean_over_examples_and_calls_two_zeros_equal() -> None:
    left = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert compare.cosine(left, np.array([[0.0, 2.0], [0.0, 0.0]])) == 0.5
    assert compare.cosine(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])) == pytest.approx(1.0)


def test_cross_entropy_is_the_mean_over_labels_of_scores_or_of_probabilities() -> None:
    labels = np.array([0, 0])
    first, second = np.log(1 + np.exp(-1.0)), np.log(1 + np.exp(3.0))
    expected = (first + second) / 2
    assert compare.cross_entropy(SCORES, labels) == pytest.approx(expected)
    probabilities = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    assert compare.cross_entropy(probabilities, labels) == pytest.approx(expected, rel=1e-5)
    pixels = SCORES[[0, 1, 0]].T[None]  # (examples, classes, places)
    assert compare.cross_entropy(pixels, np.array([[0, 0, 0]])) == pytest.approx((2 * first + second) / 3)
    assert compare.cross_entropy(SCORES, np.array([0, 2])) is None
    assert compare.cross_entropy(SCORES[:, :1], labels) is None


def test_top_five_are_those_of_the_five_highest_scores() -> None:
    scores = np.array([[6.0, 5, 4, 3, 2, 1, 0], [0.0, 1, 2, 3, 4, 5, 6]])
    found = compare.among_highest(scores, np.array([4, 1]), 5)
    assert found is not None
    assert found.tolist() == [True, False]
    assert compare.among_highest(scores[:, :5], np.array([4, 1]), 5) is None
