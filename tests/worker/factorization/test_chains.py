"""Chains of full rank answer as the layer did, whatever its settings; what they cost is what is counted."""

import pytest
import torch
from torch import Tensor, nn

from worker.factorization.chains import Positions, Widths, cp_chain, linear_chain, svd_chain, tucker_chain
from worker.factorization.decompositions import Cp, cp, truncated_svd, tucker2

SETTINGS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "unequal": {"kernel_size": (3, 5), "stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
    "same": {"padding": "same", "bias": False},
    "mirrored": {"padding": 1, "padding_mode": "reflect"},
}


def convolution(name: str) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, **({"kernel_size": 3} | SETTINGS[name])).eval()


def assert_same(chain: list[nn.Module], layer: nn.Module, x: Tensor) -> None:
    torch.testing.assert_close(nn.Sequential(*chain)(x), layer(x), rtol=1e-4, atol=1e-5)


def exact_cp(weight: Tensor) -> Cp:
    """One product for each entry of all dimensions but the first: no fit is needed."""
    _, inputs, high, wide = weight.shape
    i, h, w = torch.cartesian_prod(torch.arange(inputs), torch.arange(high), torch.arange(wide)).T
    units = [torch.eye(size)[:, index] for size, index in ((inputs, i), (high, h), (wide, w))]
    return Cp((weight.detach().flatten(1), *units))


@pytest.mark.parametrize("name", SETTINGS)
def test_full_ranks_answer_as_the_convolution(name: str) -> None:
    layer, x = convolution(name), torch.randn(2, 4, 13, 12)
    weight = layer.weight.detach()
    assert_same(svd_chain(layer, truncated_svd(weight.flatten(1), 6)), layer, x)
    assert_same(cp_chain(layer, exact_cp(weight)), layer, x)
    assert len(tucker_chain(layer, tucker2(weight, 6, 4))) == 1
    assert_same(tucker_chain(layer, tucker2(weight, 6, 4)), layer, x)


@pytest.mark.parametrize(("ranks", "layers"), [((5, 3), 3), ((5, 4), 2), ((6, 3), 2)])
def test_tucker_chains_have_as_many_layers_as_they_need(ranks: tuple[int, int], layers: int) -> None:
    """And compute what the decomposition says."""
    layer = convolution("strided")
    tucker = tucker2(layer.weight.detach(), *ranks)
    chain = tucker_chain(layer, tucker)
    assert len(chain) == layers
    with torch.no_grad():
        layer.weight.copy_(tucker.product())
    assert_same(chain, layer, torch.randn(2, 4, 9, 9))


def test_chains_of_one_dimension() -> None:
    layer, x = nn.Conv1d(4, 6, 5, stride=2, padding=3), torch.randn(2, 4, 20)
    found = cp(layer.weight.detach(), 30, seed=0)
    chain = cp_chain(layer, found)
    assert [type(each) for each in chain] == [nn.Conv1d] * 3
    with torch.no_grad():
        layer.weight.copy_(found.product())
    assert_same(chain, layer, x)


def test_a_linear_layer_of_full_rank() -> None:
    layer = nn.Linear(5, 3)
    assert_same(linear_chain(layer, truncated_svd(layer.weight.detach(), 3)), layer, torch.randn(4, 5))


def macs_of(chain: list[nn.Module], x: Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        nn.Sequential(*chain)(x)
    return counter.get_total_flops() // 2


def test_what_is_counted_is_what_torch_counts() -> None:
    layer, x = convolution("strided"), torch.randn(1, 4, 16, 16)
    widths, at, weight = Widths.of(layer), Positions(256, 64), layer.weight.detach()
    assert widths.macs(at) == macs_of([layer], x)
    assert widths.svd_macs(3, at) == macs_of(svd_chain(layer, truncated_svd(weight.flatten(1), 3)), x)
    for ranks in ((2, 3), (6, 3), (2, 4)):
        assert widths.tucker_macs(*ranks, at) == macs_of(tucker_chain(layer, tucker2(weight, *ranks)), x)
    assert widths.cp_macs(3, at) >= macs_of(cp_chain(layer, cp(weight, 3, 0)), x)
