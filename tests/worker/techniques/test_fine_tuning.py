import pytest
import torch
from torch import nn

from app.core.errors import Invalid
from app.core.recipes import FineTuning
from tests.worker.training.tasks import accuracy, network, run_for, same, weights
from worker.network import Network
from worker.techniques import apply


def tuned(given: Network, **fields) -> nn.Module:
    step = FineTuning(**({"epochs": 12, "batch_size": 16, "learning_rate": 0.02} | fields))
    return apply(step, given, run_for(given)).module


def trained() -> Network:
    given = network()
    return Network(tuned(given), given.inputs)


def damaged(given: Network) -> Network:
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in given.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise) * 0.5)
    return given


def test_it_brings_back_what_was_lost() -> None:
    good = accuracy(trained().module)
    given = damaged(trained())
    assert accuracy(given.module) < good - 0.1
    assert accuracy(tuned(given)) > good - 0.05


def test_a_good_network_is_not_harmed() -> None:
    given = trained()
    assert accuracy(tuned(given, epochs=2)) >= accuracy(given.module) - 0.02


def test_the_given_network_is_not_changed() -> None:
    given = network()
    before = weights(given.module)
    tuned(given, epochs=1)
    assert same(before, weights(given.module))


def test_from_scratch_nothing_of_the_old_weights_is_left() -> None:
    """With a learning rate that moves nothing, weights alone stay near where they began."""
    given = trained()
    near = tuned(given, epochs=1, learning_rate=1e-9)
    anew = tuned(given, epochs=1, learning_rate=1e-9, start="scratch")
    old, kept, fresh = (module.get_parameter("0.weight") for module in (given.module, near, anew))
    assert torch.allclose(old, kept, atol=1e-6)
    assert torch.corrcoef(torch.stack([old.flatten(), fresh.flatten()]))[0, 1].abs() < 0.4
    assert accuracy(anew) < 0.6 < accuracy(near)


def test_from_scratch_it_learns_all_again() -> None:
    assert accuracy(tuned(trained(), start="scratch", epochs=20)) > 0.9


def test_layers_are_left_alone_where_asked_for() -> None:
    given = network()
    for fields in ({"exclude": ["0"]}, {"only": ["2"]}, {"only": ["2"], "start": "scratch"}):
        after = tuned(given, epochs=1, **fields)
        assert torch.equal(after.get_parameter("0.weight"), given.module.get_parameter("0.weight"))
        assert not torch.equal(after.get_parameter("2.weight"), given.module.get_parameter("2.weight"))


def test_a_pattern_that_matches_no_layer_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        tuned(network(), only=["conv*"])
    assert caught.value.code == "pattern_matches_nothing"
