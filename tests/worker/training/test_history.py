import pytest

from worker.training.history import History, Judgement


def judged(quality: float, loss: float = 1.0, metric: str = "accuracy") -> Judgement:
    return Judgement(metric, quality, loss)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "better", "worse"), [("accuracy", 0.9, 0.8), ("agreement", 0.9, 0.8), ("mean_squared_error", 0.1, 0.2)]
)
def test_accuracies_should_be_large_and_errors_small(metric: str, better: float, worse: float) -> None:
    assert judged(better, 2.0, metric).is_better_than(judged(worse, 1.0, metric))
    assert not judged(worse, 1.0, metric).is_better_than(judged(better, 2.0, metric))


def test_of_equal_qualities_the_loss_decides() -> None:
    assert judged(0.9, 0.5).is_better_than(judged(0.9, 0.6))
    assert not judged(0.9, 0.6).is_better_than(judged(0.9, 0.6))


def test_what_is_no_number_is_never_better() -> None:
    nothing = judged(0.9, float("nan"))
    assert not nothing.is_better_than(judged(0.1))
    assert judged(0.1).is_better_than(nothing)


def test_without_judgements_the_latest_is_the_best() -> None:
    assert History("accuracy", None).is_better(None)
