"""What is taught beside answers: each loss beside its formula, and which values belong together."""

from math import acos, cos, sqrt

import pytest
import torch
from torch import Tensor, fx, nn

from worker.distillation.attention import WEIGHT, AttentionTransfer, attention_map
from worker.distillation.hints import Hints, RegressorTraining
from worker.distillation.intermediates import Value, features_of, values_of, with_intermediates
from worker.distillation.matching import Pair, matched, spread
from worker.distillation.relational import ANGLE_WEIGHT, DISTANCE_WEIGHT, Relations


def pair(student: tuple[int, ...], teacher: tuple[int, ...]) -> Pair:
    return Pair(Value("mine", student, 1), Value("theirs", teacher, 1))


def huber(one: float, other: float) -> float:
    difference = abs(one - other)
    return difference**2 / 2 if difference < 1 else difference - 0.5


def distance(one: Tensor, other: Tensor) -> float:
    return sqrt(sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True)))


def test_relations_are_distances_and_angles() -> None:
    torch.manual_seed(0)
    student, teacher, count = torch.randn(5, 3), torch.randn(5, 8), 5

    def relative(features: Tensor) -> list[float]:
        all_pairs = [distance(one, other) for one in features for other in features]
        mean = sum(all_pairs) / (count * (count - 1))
        return [one / mean for one in all_pairs]

    def angles(features: Tensor) -> list[float]:
        found = []
        for corner in range(count):
            for one in range(count):
                for other in range(count):
                    a, b = features[one] - features[corner], features[other] - features[corner]
                    product = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
                    lengths = distance(features[one], features[corner]) * distance(features[other], features[corner])
                    found.append(cos(acos(max(-1.0, min(1.0, product / lengths)))) if lengths else 0.0)
        return found

    def mean_huber(one: list[float], other: list[float]) -> float:
        return sum(map(huber, one, other)) / len(one)

    expected = DISTANCE_WEIGHT * mean_huber(relative(student), relative(teacher))
    expected += ANGLE_WEIGHT * mean_huber(angles(student), angles(teacher))
    assert float(Relations("a", "b").loss([student], [teacher])) == pytest.approx(expected, rel=1e-4)


def test_equal_examples_have_relations_that_can_be_learned_from() -> None:
    student = torch.ones(4, 3, requires_grad=True)
    Relations("a", "b").loss([student], [torch.randn(4, 3)]).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_attention_is_the_distance_of_normalised_maps() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 2, 2), torch.randn(2, 5, 2, 2)

    def unit_map(features: Tensor) -> list[float]:
        places = [
            sum(float(channel[row, column]) ** 2 for channel in features) for row in range(2) for column in range(2)
        ]
        return [place / sqrt(sum(one**2 for one in places)) for place in places]

    distances = [
        sqrt(sum((a - b) ** 2 for a, b in zip(unit_map(mine), unit_map(taught), strict=True)))
        for mine, taught in zip(student, teacher, strict=True)
    ]
    lesson = AttentionTransfer([pair((3, 2, 2), (5, 2, 2))])
    assert float(lesson.loss([student], [teacher])) == pytest.approx(WEIGHT * sum(distances) / 2, rel=1e-5)


def test_attention_maps_are_over_places_whatever_axis_holds_channels() -> None:
    tokens = torch.randn(2, 6, 4)
    assert torch.allclose(attention_map(tokens, 2), attention_map(tokens.transpose(1, 2), 1))


def test_hints_of_one_width_are_compared_as_they_are() -> None:
    mine, taught = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    found = Hints.between([pair((3, 2, 2), (3, 2, 2))], seed=0).loss([mine], [taught])
    expected = sum((a - b) ** 2 for a, b in zip(mine.flatten().tolist(), taught.flatten().tolist(), strict=True))
    assert float(found) == pytest.approx(expected / sum(b**2 for b in taught.flatten().tolist()), rel=1e-5)


def test_a_regressor_of_a_thinner_student_is_a_convolution_of_size_one() -> None:
    mine, taught = torch.randn(2, 2, 4, 4), torch.randn(2, 3, 4, 4)
    hints = Hints.between([pair((2, 4, 4), (3, 4, 4))], seed=0)
    with torch.no_grad():
        weight, bias = hints.regressors[0].parameters()
        led = torch.conv2d(mine, weight[:, :, None, None], bias)
        expected = (led - taught).square().sum() / taught.square().sum()
        assert float(hints.loss([mine], [taught])) == pytest.approx(float(expected), rel=1e-5)


def test_regressors_learn() -> None:
    torch.manual_seed(0)
    mine = torch.randn(64, 4)
    taught = mine @ torch.randn(4, 6)
    hints = Hints.between([pair((4,), (6,))], seed=0)
    training, losses = RegressorTraining(hints), []
    for _ in range(100):
        loss = hints.loss([mine], [taught])
        losses.append(loss.item())
        loss.backward()
        training.step()
    assert losses[-1] < 0.7 * losses[0]


class Images(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1, self.norm1, self.relu = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.conv3 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3)
        self.fc = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        x = x + self.conv2(x)
        x = torch.max_pool2d(x, 2)
        return self.fc(self.relu(self.conv3(x)).mean(dim=[2, 3]))


def graph(network: nn.Module) -> fx.GraphModule:
    return fx.symbolic_trace(network.eval())


def test_values_are_those_behind_activations_norms_and_sums() -> None:
    values = values_of(graph(Images()), [torch.randn(3, 1, 8, 8)])
    assert [(value.name, value.shape) for value in values] == [
        ("relu", (8, 8, 8)),
        ("conv2", (8, 8, 8)),
        ("add", (8, 8, 8)),
        ("relu_1", (8, 2, 2)),
    ]
    assert features_of(graph(Images())) == "mean"


def test_intermediate_values_come_beside_the_same_answers() -> None:
    network, x = graph(Images()), torch.randn(3, 1, 8, 8)
    answers, (added,) = with_intermediates(network, ["add"])(x)
    assert torch.equal(answers, network(x))
    first = torch.relu(network.norm1(network.conv1(x)))
    assert torch.equal(added, first + network.conv2(first))


def test_a_thinner_network_is_matched_by_name() -> None:
    x = [torch.randn(3, 1, 8, 8)]
    pairs = matched(values_of(graph(Images(4)), x), values_of(graph(Images(8)), x))
    assert [pair.names for pair in pairs] == [("relu", "relu"), ("conv2", "conv2"), ("add", "add"), ("relu_1",) * 2]


def test_another_make_is_matched_by_resolution() -> None:
    student = [Value("a", (4, 8, 8), 1), Value("b", (4, 2, 2), 1), Value("c", (9, 3, 3), 1)]
    teacher = [Value("t", (8, 8, 8), 1), Value("u", (8, 8, 8), 1), Value("v", (8, 2, 2), 1)]
    assert [pair.names for pair in matched(student, teacher)] == [("a", "u"), ("b", "v")]


def test_of_many_resolutions_the_last_value_of_each_is_taken() -> None:
    values = [Value(f"{size}-{number}", (4, size, size), 1) for size in (8, 4, 2) for number in range(3)]
    assert [pair.names[0] for pair in matched(values, values)] == ["8-2", "4-2", "2-2"]


def test_spread_takes_even_distances_and_the_last() -> None:
    assert spread(range(10), 4) == [2, 4, 7, 9]
    assert spread(range(2), 4) == [0, 1]
