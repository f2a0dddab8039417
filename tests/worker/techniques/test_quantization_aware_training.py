from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from app.core.errors import Invalid
from app.core.recipes import FineTuning, MagnitudePruning, QuantizationAwareTraining, StaticQuantization, Step
from tests.worker.training.tasks import accuracy, dataset, network, run_for, same, unlabelled, weights
from worker.evaluation.answers import relative_error
from worker.exporting.onnx import export_onnx
from worker.network import Network
from worker.quantization.simulation import Simulation, simulated
from worker.techniques import apply

LEARNING: dict[str, Any] = {"epochs": 30, "batch_size": 16, "learning_rate": 0.03, "early_stop": False}
SHORT = LEARNING | {"epochs": 2}
FACTOR = 300.0


@cache
def with_outliers() -> Network:
    """It knows its classes, by hidden units of which two are so large that the others get few of the 256 levels."""
    given = network()
    trained = apply(FineTuning(epochs=15, batch_size=16, learning_rate=0.02), given, run_for(given)).module
    with torch.no_grad():
        first, last = trained.get_submodule("0"), trained.get_submodule("2")
        first.weight[:2] *= FACTOR
        first.bias[:2] *= FACTOR
        last.weight[:, :2] /= FACTOR
    return network(lambda: trained)


def changed(step: Step, given: Network, data: Any = None) -> Network:
    return apply(step, given, run_for(given, data))


def written(given: Network, folder: Path) -> Path:
    path = folder / "model.onnx"
    export_onnx(given, path)
    return path


def answers(path: Path) -> np.ndarray:
    inputs, _ = dataset().test.take(range(60))
    session = onnxruntime.InferenceSession(path)
    (given,) = inputs.values()
    return session.run(None, {session.get_inputs()[0].name: given.numpy()})[0]


def accuracy_of(path: Path) -> float:
    _, labels = dataset().test.take(range(60))
    return float((answers(path).argmax(axis=1) == labels.numpy()).mean())


@pytest.mark.parametrize("labels", ["true", "none"])
def test_it_recovers_what_plain_int8_loses(tmp_path: Path, labels: str) -> None:
    given = with_outliers()
    exact = accuracy(given.module)
    plain = accuracy_of(written(changed(StaticQuantization(), given), tmp_path))
    step = QuantizationAwareTraining(labels=labels, **LEARNING)
    trained = accuracy_of(written(changed(step, given), tmp_path))
    assert plain < exact - 0.15
    assert trained > plain + 0.6 * (exact - plain)


@pytest.mark.parametrize("ranges", ["fixed", "learned"])
def test_the_file_answers_as_the_network_did_in_training(
    ranges: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Simulation] = []

    def kept(*arguments: Any) -> Simulation:
        made.append(simulated(*arguments))
        return made[-1]

    monkeypatch.setattr("worker.techniques.quantization_aware_training.simulated", kept)
    given = with_outliers()
    trained = changed(QuantizationAwareTraining(ranges=ranges, **SHORT), given)
    inputs, _ = dataset().test.take(range(60))
    with torch.no_grad():
        rounded, exact = (module(*inputs.values()).numpy() for module in (made[0].module, trained.module))
    from_file = answers(written(trained, tmp_path))
    assert np.abs(from_file - rounded).max() < 0.02 * np.abs(exact).max()
    assert np.abs(from_file - exact).max() > 0.1 * np.abs(exact).max()


def test_learned_ranges_come_nearer_to_the_upload(tmp_path: Path) -> None:
    """Without the values of two units, which a smaller range cuts off, the others have levels."""
    given = with_outliers()
    inputs, _ = dataset().test.take(range(60))
    with torch.no_grad():
        wanted = given.module(*inputs.values()).numpy()
    errors = {}
    for ranges in ("fixed", "learned"):
        step = QuantizationAwareTraining(labels="none", ranges=ranges, **LEARNING)
        errors[ranges] = relative_error(answers(written(changed(step, given), tmp_path)), wanted)
    assert errors["learned"] < 0.7 * errors["fixed"]


def test_without_labels_it_learns_from_the_upload_alone() -> None:
    step, blind = QuantizationAwareTraining(labels="none", **SHORT), QuantizationAwareTraining(**SHORT)
    given = with_outliers()
    expected = weights(changed(blind, given, unlabelled()).module)
    assert same(expected, weights(changed(step, given).module))
    assert not same(expected, weights(changed(blind, given).module))


def test_excluded_layers_are_neither_rounded_nor_trained(tmp_path: Path) -> None:
    given = with_outliers()
    trained = changed(QuantizationAwareTraining(exclude=("2",), **SHORT), given)
    assert torch.equal(trained.module.get_parameter("2.weight"), given.module.get_parameter("2.weight"))
    assert not torch.equal(trained.module.get_parameter("0.weight"), given.module.get_parameter("0.weight"))
    stored = {w.name: w.data_type for w in onnx.load(written(trained, tmp_path)).graph.initializer}
    assert stored["2.weight"] == onnx.TensorProto.FLOAT
    assert stored["0.weight_quantized"] == onnx.TensorProto.INT8


def test_a_misspelt_pattern_is_refused() -> None:
    with pytest.raises(Invalid, match="No layer that quantization_aware_training works on") as caught:
        changed(QuantizationAwareTraining(exclude=("head",)), with_outliers())
    assert caught.value.code == "pattern_matches_nothing"


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    files = [
        written(changed(QuantizationAwareTraining(**SHORT), with_outliers()), tmp_path).read_bytes() for _ in range(2)
    ]
    assert files[0] == files[1]


def test_pruned_weights_stay_zero_and_the_given_network_as_it_is() -> None:
    given, pruning = with_outliers(), MagnitudePruning(sparsity=0.5)
    pruned = replace(changed(pruning, given), steps=(pruning,))
    before = weights(pruned.module)
    trained = changed(QuantizationAwareTraining(**SHORT), pruned).module
    zeros = before["0.weight"] == 0
    assert zeros.any()
    assert not trained.get_parameter("0.weight")[zeros].any()
    assert not torch.equal(trained.get_parameter("0.weight"), before["0.weight"])
    assert same(before, weights(pruned.module))


def test_it_holds_the_trained_weights_under_their_names() -> None:
    given = with_outliers()
    trained = changed(QuantizationAwareTraining(**SHORT), given)
    assert list(trained.module.state_dict()) == list(given.module.state_dict())
    assert not trained.module.training
