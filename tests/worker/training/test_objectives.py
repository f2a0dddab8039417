import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.worker.training.tasks import dataset, network, perceptron, run_for, unlabelled
from worker.network import Network
from worker.training import Batch, recovery_objective
from worker.training.objectives import imitation, loss_of_labels, supervised

LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def a_batch(run, count: int = 8) -> Batch:
    inputs, labels = run.data.train.take(range(count))
    return Batch(tuple(inputs.values()), labels)


def test_classes_cost_their_cross_entropy() -> None:
    loss = loss_of_labels(LOGITS, CLASSES, probabilities=False, label_smoothing=0.1)
    logs = LOGITS - LOGITS.exp().sum(dim=1, keepdim=True).log()
    wanted = functional.one_hot(CLASSES, 3) * 0.9 + 0.1 / 3
    torch.testing.assert_close(loss, -(wanted * logs).sum(dim=1).mean())


def test_probabilities_cost_what_their_logits_would() -> None:
    given = loss_of_labels(LOGITS.softmax(dim=1), CLASSES, probabilities=True, label_smoothing=0.1)
    torch.testing.assert_close(given, loss_of_labels(LOGITS, CLASSES, probabilities=False, label_smoothing=0.1))


@pytest.mark.parametrize("classes_last", [True, False])
def test_tokens_cost_the_mean_over_all_of_them(classes_last: bool) -> None:
    answers, labels = torch.randn(4, 5, 3), torch.randint(0, 3, (4, 5))
    given = answers if classes_last else answers.transpose(1, 2)
    one_by_one = [
        loss_of_labels(answers[i, t][None], labels[i, t][None], probabilities=False) for i in range(4) for t in range(5)
    ]
    torch.testing.assert_close(loss_of_labels(given, labels, probabilities=False), torch.stack(one_by_one).mean())


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_a_yes_or_no_is_one_score(shape: tuple[int, ...]) -> None:
    scores, labels = torch.randn(8), CLASSES.clamp(max=1)
    wanted = -(labels * scores.sigmoid().log() + (1 - labels) * (1 - scores.sigmoid()).log()).mean()
    torch.testing.assert_close(loss_of_labels(scores.view(shape), labels, probabilities=False), wanted)
    torch.testing.assert_close(loss_of_labels(scores.sigmoid().view(shape), labels, probabilities=True), wanted)


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_floats_cost_their_mean_squared_error(shape: tuple[int, ...]) -> None:
    answers, targets = torch.randn(8, 1), torch.randn(8, dtype=torch.float64)
    wanted = ((answers[:, 0] - targets) ** 2).mean().float()
    torch.testing.assert_close(loss_of_labels(answers.view(shape), targets, probabilities=False), wanted)


def test_labels_come_before_the_upload_where_there_are_some() -> None:
    given = network()
    labelled, blind = run_for(given), run_for(given, unlabelled())
    module = network(seed=1).module
    batch = a_batch(labelled)
    torch.testing.assert_close(
        recovery_objective(labelled)(module, batch), functional.cross_entropy(module(batch.inputs[0]), batch.labels)
    )
    assert recovery_objective(blind)(given.module, batch).item() == pytest.approx(0, abs=1e-6)
    assert recovery_objective(blind)(module, batch).item() > 0.1


def test_another_teacher_is_imitated_where_one_is_given() -> None:
    given, teacher = network(), network(seed=1).module
    run = run_for(given, unlabelled())
    objective = recovery_objective(run, teacher)
    assert objective(teacher, a_batch(run)).item() == pytest.approx(0, abs=1e-6)
    assert objective(given.module, a_batch(run)).item() > 0.1


def test_imitation_holds_the_level_that_a_softmax_leaves_free() -> None:
    given = network()
    run = run_for(given, unlabelled())
    shifted = network(lambda: nn.Sequential(perceptron(), Shift()))
    assert imitation(run, given.module)(shifted.module, a_batch(run)).item() > 0.1


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 3.0


class TwoAnswers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x), self.second(x)


def test_outputs_without_labels_are_held_to_the_uploads() -> None:
    given, moved = network(TwoAnswers), network(TwoAnswers)
    with torch.no_grad():
        moved.module.get_parameter("second.bias").add_(1.0)
    run = run_for(given)
    objective = supervised(run)
    alone = functional.cross_entropy(given.module(a_batch(run).inputs[0])[0], a_batch(run).labels)
    torch.testing.assert_close(objective(given.module, a_batch(run)), alone)
    assert objective(moved.module, a_batch(run)) > alone + 0.5


def test_whether_answers_are_probabilities_is_seen_on_the_upload() -> None:
    given = network(lambda: nn.Sequential(perceptron(), nn.Softmax(dim=1)))
    run = run_for(given, dataset())
    batch = a_batch(run)
    wanted = functional.nll_loss(given.module(batch.inputs[0]).log(), batch.labels)
    torch.testing.assert_close(supervised(run)(given.module, batch), wanted)


def test_the_teacher_gets_no_gradients() -> None:
    given = network()
    run = run_for(given, unlabelled())
    student = network(seed=1)
    imitation(run, given.module)(student.module, a_batch(run)).backward()
    assert all(parameter.grad is None for parameter in given.module.parameters())
    assert all(parameter.grad is not None for parameter in student.module.parameters())
    assert isinstance(given, Network)
