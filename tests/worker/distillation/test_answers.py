"""Each loss beside its formula, computed by loops over plain numbers."""

from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from worker.distillation.answers import AnswerKind, AnswerLoss, kind_of_answers
from worker.training import Batch

T, ALPHA = 3.0, 0.3
NUMBERS = AnswerKind(None)


def scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


def softened(row: list[float], temperature: float) -> list[float]:
    powers = [exp(one / temperature) for one in row]
    return [power / sum(powers) for power in powers]


def soft(student: Tensor, teacher: Tensor, temperature: float = T) -> float:
    """Rows of class scores: T² KL, the mean over rows."""
    total = 0.0
    for given, wanted in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = softened(wanted, temperature), softened(given, temperature)
        total += sum(one * (log(one) - log(other)) for one, other in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def hard(student: Tensor, labels: Tensor) -> float:
    rows = zip(student.tolist(), labels.tolist(), strict=True)
    return -sum(log(softened(row, 1.0)[label]) for row, label in rows) / len(student)


def squares(given: Tensor, wanted: Tensor) -> float:
    pairs = list(zip(given.flatten().tolist(), wanted.flatten().tolist(), strict=True))
    return sum((one - other) ** 2 for one, other in pairs) / len(pairs)


def loss(labels: str, kind: AnswerKind, teacher_kind: AnswerKind | None = None) -> AnswerLoss:
    return AnswerLoss(T, ALPHA, labels, kind, teacher_kind or kind)


STUDENT, TEACHER, LABELS = scores(6, 4), scores(6, 4, seed=1), torch.tensor([0, 1, 2, 3, 0, 1])


def test_labels_and_soft_targets_are_weighted_by_alpha() -> None:
    found = loss("true", AnswerKind(1))([STUDENT], [TEACHER], LABELS)
    assert float(found) == pytest.approx(ALPHA * soft(STUDENT, TEACHER) + (1 - ALPHA) * hard(STUDENT, LABELS), rel=1e-5)


def test_the_teachers_choices_take_the_place_of_labels() -> None:
    found = loss("teacher", AnswerKind(1))([STUDENT], [TEACHER], LABELS)
    choices = TEACHER.argmax(1)
    assert float(found) == pytest.approx(
        2 * ALPHA * soft(STUDENT, TEACHER) + (1 - ALPHA) * hard(STUDENT, choices), rel=1e-5
    )


def test_without_labels_the_soft_term_is_all() -> None:
    found = loss("none", AnswerKind(1))([STUDENT], [TEACHER], None)
    assert float(found) == pytest.approx(soft(STUDENT, TEACHER), rel=1e-5)


@pytest.mark.parametrize("axis", [1, 2])
def test_every_token_is_a_choice(axis: int) -> None:
    tokens, taught, labels = scores(2, 3, 5), scores(2, 3, 5, seed=1), torch.tensor([[0, 1, 2], [3, 4, 0]])
    given, wanted = (one if axis == 2 else one.transpose(1, 2) for one in (tokens, taught))
    found = loss("true", AnswerKind(axis))([given], [wanted], labels)
    rows, taught_rows = tokens.flatten(0, 1), taught.flatten(0, 1)
    expected = ALPHA * soft(rows, taught_rows) + (1 - ALPHA) * hard(rows, labels.flatten())
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_probabilities_count_as_the_logits_that_they_came_from() -> None:
    kind = AnswerKind(1, probabilities=True)
    found = loss("true", kind, AnswerKind(1))([STUDENT.softmax(1)], [TEACHER], LABELS)
    assert float(found) == pytest.approx(float(loss("true", AnswerKind(1))([STUDENT], [TEACHER], LABELS)), rel=1e-4)


@pytest.mark.parametrize("probabilities", [False, True])
def test_one_score_is_a_yes_or_a_no(probabilities: bool) -> None:
    given, wanted, labels = scores(6, 1), scores(6, 1, seed=1), torch.tensor([0, 1, 1, 0, 1, 0])
    both, taught = (torch.cat([torch.zeros(6, 1), one], dim=1) for one in (given, wanted))
    if probabilities:
        given, wanted = given.sigmoid(), wanted.sigmoid()
    kind = AnswerKind(None, yes_or_no=True, probabilities=probabilities)
    by_labels = loss("true", kind)([given], [wanted], labels)
    assert float(by_labels) == pytest.approx(ALPHA * soft(both, taught) + (1 - ALPHA) * hard(both, labels), rel=1e-4)
    by_choices = loss("teacher", kind)([given], [wanted], None)
    expected = 2 * ALPHA * soft(both, taught) + (1 - ALPHA) * hard(both, taught.argmax(1))
    assert float(by_choices) == pytest.approx(expected, rel=1e-4)


def test_numbers_are_compared_by_squares() -> None:
    given, wanted, labels = scores(6, 2), scores(6, 2, seed=1), scores(6, 2, seed=2)
    expected = ALPHA * squares(given, wanted) + (1 - ALPHA) * squares(given, labels)
    assert float(loss("true", NUMBERS)([given], [wanted], labels)) == pytest.approx(expected, rel=1e-5)
    assert float(loss("none", NUMBERS)([given], [wanted], None)) == pytest.approx(squares(given, wanted), rel=1e-5)


def test_further_outputs_are_held_to_the_teachers() -> None:
    other, taught = scores(6, 7, seed=3), scores(6, 7, seed=4)
    one = loss("none", AnswerKind(1))([STUDENT], [TEACHER], None)
    both = loss("none", AnswerKind(1))([STUDENT, other], [TEACHER, taught], None)
    variance = float(np.var(taught.numpy()))
    assert float(both - one) == pytest.approx(squares(other, taught) / variance, rel=1e-4)


def test_where_nothing_says_that_answers_are_classes_their_level_counts() -> None:
    kind = AnswerKind(1, certain=False)
    shifted = loss("none", kind)([TEACHER + 1], [TEACHER], None)
    assert float(shifted) == pytest.approx(1 / float(np.var(TEACHER.numpy())), rel=1e-4)
    assert float(loss("none", AnswerKind(1))([TEACHER + 1], [TEACHER], None)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("outputs", "labels", "kind"),
    [
        (4, torch.tensor([0, 1]), AnswerKind(1)),
        (4, None, AnswerKind(1, certain=False)),
        (4, torch.randn(2, 4), AnswerKind(None)),
        (1, torch.tensor([0, 1]), AnswerKind(None, yes_or_no=True)),
        (1, None, AnswerKind(None, certain=False)),
    ],
)
def test_labels_say_what_answers_are(outputs: int, labels: Tensor | None, kind: AnswerKind) -> None:
    layer = nn.Linear(3, outputs)
    nn.init.constant_(layer.bias, -2.0)
    assert kind_of_answers(layer, Batch((torch.randn(2, 3),), labels)) == kind
