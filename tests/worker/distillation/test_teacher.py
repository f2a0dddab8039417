import numpy as np
import pytest
import torch
from torch import Tensor, nn

from worker.distillation import teacher as module
from worker.distillation.teacher import Teacher
from worker.training import Batch


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.asked = nn.Linear(3, 2), 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += 1
        return self.layer(x)


X = torch.randn(10, 3)


def batch(*rows: int, changed: bool = False) -> Batch:
    return Batch((X[list(rows)],), None, None if changed else np.array(rows))


def test_an_example_is_answered_once() -> None:
    network = Counting()
    teacher = Teacher(network, rows=10)
    for rows in ((1, 4, 7), (2, 3, 5), (4, 2, 1), (7, 5, 3)):
        (answers,), _ = teacher.answers(batch(*rows))
        assert torch.allclose(answers, network.layer(X[list(rows)]))
    assert network.asked == 2


def test_a_changed_example_is_asked_about_anew() -> None:
    network = Counting()
    teacher = Teacher(network, rows=10)
    for _ in range(2):
        teacher.answers(batch(1, 2, changed=True))
    assert network.asked == 2


def test_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES_KEPT", 10 * 2 * 4 - 1)
    network = Counting()
    teacher = Teacher(network, rows=10)
    for _ in range(2):
        teacher.answers(batch(1, 2))
    assert network.asked == 2


def test_answers_have_no_gradient_and_the_mode_is_evaluation() -> None:
    network = Counting().train()
    (answers,), _ = Teacher(network, rows=10).answers(batch(0, 1))
    assert not answers.requires_grad
    assert not network.training
