import pytest
import torch

from app.core.architectures import ARCHITECTURE
from app.core.errors import Invalid
from app.core.inputs import InputSpec
from tests.worker.architectures.configs import BERT
from worker.loading.untrained import untrained_network

SERIES = {
    "source": "layers",
    "layers": [
        {"type": "LSTM", "input_size": 3, "hidden_size": 8, "batch_first": True},
        {"type": "LayerNorm", "normalized_shape": 8},
        {"type": "PReLU"},
        {"type": "Linear", "in_features": 8, "out_features": 2},
    ],
}
STEPS = InputSpec(name="x", shape=("batch", 5, 3))


def weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return untrained_network(ARCHITECTURE.validate_python(SERIES), (STEPS,)).state_dict()


def test_weights_are_random_and_follow_the_seed() -> None:
    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["3.weight"], other["3.weight"])
    assert first["3.weight"].std() > 0.05
    assert torch.equal(first["1.weight"], torch.ones(8))


def test_a_described_network_can_be_trained() -> None:
    network = untrained_network(ARCHITECTURE.validate_python(SERIES), (STEPS,))
    network(torch.randn(4, 5, 3)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_library_s_network_can_be_trained() -> None:
    architecture = ARCHITECTURE.validate_python({"source": "transformers", "config": BERT})
    ids = InputSpec(name="ids", shape=("batch", 6), dtype="int64", low=0, high=8)
    network = untrained_network(architecture, (ids,))
    assert len(list(network.parameters())) > 10
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_inputs_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(Invalid) as refused:
        untrained_network(ARCHITECTURE.validate_python(SERIES), (InputSpec(name="x", shape=("batch", 5, 4)),))
    assert refused.value.code == "inputs_do_not_fit"
