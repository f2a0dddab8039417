import torch
from torch import nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.stability import NOISE, answer_sensitivity, effect_spread

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 2))


def test_the_answers_of_a_linear_layer_depend_on_a_weight_by_its_input() -> None:
    """f_o = Σ w_oi x_i, so ∂f/∂w_oi = x_i at any weights: the expected square is E[x_i²] for each row."""
    network = network_of(linear(), (4,))
    found = answer_sensitivity(network, run_over(network, X.numpy()))["0.weight"]
    torch.testing.assert_close(found, X.square().mean(0).expand(2, 4), rtol=0.35, atol=0)


def test_the_loss_of_a_linear_layer_spreads_with_the_noise_on_its_answers() -> None:
    """With L = f²/2 and one example x = e_0, ∂L/∂w_00 = w_00 (1 + NOISE ε): its deviation is NOISE |w_00|."""
    module = nn.Sequential(nn.Linear(4, 2, bias=False))
    x = torch.zeros(64, 4)
    x[:, 0] = 1
    network = network_of(module, (4,))
    found = effect_spread(network, run_over(network, x.numpy()))["0.weight"]
    weights = module[0].weight.detach()
    torch.testing.assert_close(found[:, 0], NOISE * weights[:, 0].abs(), rtol=0.25, atol=0)
    assert not found[:, 1:].any()


def test_the_seed_decides() -> None:
    network = network_of(linear(), (4,))
    for measure in (answer_sensitivity, effect_spread):
        first, again, other = (
            measure(network, run_over(network, X.numpy(), seed=seed))["0.weight"] for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_the_network_keeps_its_weights() -> None:
    network = network_of(linear(), (4,))
    effect_spread(network, run_over(network, X.numpy()))
    assert torch.equal(network.module.get_parameter("0.weight"), linear()[0].weight)
