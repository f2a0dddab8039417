"""Layers before and after, by the names that they had in the upload."""

import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.layer_changes import BINS, layer_changes
from worker.network import Network

SPECS = (InputSpec(name="x", shape=("batch", 8)),)


def network(**layers: nn.Module) -> Network:
    module = nn.Sequential()
    for name, layer in layers.items():
        module.add_module(name, layer)
    return Network(fx.symbolic_trace(module), SPECS)


def test_a_narrower_layer_has_fewer_parameters() -> None:
    before = network(first=nn.Linear(8, 16), relu=nn.ReLU(), second=nn.Linear(16, 4))
    after = network(first=nn.Linear(8, 4), relu=nn.ReLU(), second=nn.Linear(4, 4))
    found = {change.name: (change.type, change.before, change.after) for change in layer_changes(before, after)}
    assert found == {"first": ("Linear", 144, 36), "second": ("Linear", 68, 20)}


def test_a_chain_counts_for_the_layer_in_whose_place_it_stands() -> None:
    before = network(fc=nn.Linear(8, 8), out=nn.Linear(8, 4))
    after = network(fc=nn.Sequential(nn.Linear(8, 2, bias=False), nn.Linear(2, 8)), out=nn.Linear(8, 4))
    chain, out = layer_changes(before, after)
    assert (chain.name, chain.before, chain.after, chain.weights) == ("fc", 72, 40, None)
    assert out.before == out.after


def test_a_layer_that_is_gone_has_none_left() -> None:
    (first, second) = layer_changes(network(a=nn.Linear(8, 8), b=nn.Linear(8, 8)), network(a=nn.Linear(8, 8)))
    assert (first.after, second.after, second.weights) == (72, 0, None)


def test_histograms_count_every_weight_but_zeros() -> None:
    before, after = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        after.weight.copy_(before.weight)
        after.weight[:4] = 0
    (change,) = layer_changes(network(fc=before), network(fc=after))
    weights = change.weights
    assert weights is not None
    assert (sum(weights.before), sum(weights.after), len(weights.after)) == (64, 32, BINS)
    assert (weights.zeros_before, weights.zeros_after, change.nonzero_after) == (0, 0.5, 32)


def test_weights_that_are_not_finite_have_no_histogram() -> None:
    broken = nn.Linear(8, 8)
    with torch.no_grad():
        broken.weight[0, 0] = float("inf")
    (change,) = layer_changes(network(fc=nn.Linear(8, 8)), network(fc=broken))
    assert change.weights is None
