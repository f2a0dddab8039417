import pytest
import torch
from torch import fx, nn

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.recipes import MagnitudePruning
from worker.network import Network
from worker.run import Run
from worker.techniques import apply


def network() -> Network:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    layers[3].weight.data *= 10
    return Network(fx.symbolic_trace(layers.eval()), (InputSpec(name="x", shape=("batch", 8)),))


def pruned(seed: int = 0, **fields) -> nn.Module:
    given = network()
    return apply(MagnitudePruning(**fields), given, Run(seed, lambda _message: None, given)).module


def zeros(weight: torch.Tensor) -> int:
    return int((weight == 0).sum())


def test_global_scope_takes_the_smallest_of_all_layers() -> None:
    module = pruned(sparsity=0.5)
    first, last = module.get_parameter("0.weight"), module.get_parameter("3.weight")
    assert zeros(first) + zeros(last) == (128 + 64) // 2
    assert zeros(first) > 64 > zeros(last)


def test_layer_scope_takes_as_many_from_each() -> None:
    module = pruned(sparsity=0.25, scope="layer")
    assert [zeros(module.get_parameter(name)) for name in ("0.weight", "3.weight")] == [32, 16]


def test_what_is_kept_is_larger_than_what_is_removed() -> None:
    before, after = (
        network().module.get_parameter("0.weight"),
        pruned(sparsity=0.5, scope="layer").get_parameter("0.weight"),
    )
    removed = after == 0
    assert before[removed].abs().max() <= before[~removed].abs().min()
    assert torch.equal(after[~removed], before[~removed])


def test_a_threshold_removes_what_is_below_it() -> None:
    before, after = network().module.get_parameter("0.weight"), pruned(threshold=0.2).get_parameter("0.weight")
    assert torch.equal(after == 0, before.abs() < 0.2)


def test_biases_and_norms_are_untouched() -> None:
    module, original = pruned(sparsity=0.9).state_dict(), network().module.state_dict()
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        assert torch.equal(module[name], original[name])


def test_random_pruning_depends_on_the_seed() -> None:
    def mask(seed: int) -> torch.Tensor:
        return pruned(seed, criterion="random", sparsity=0.5).get_parameter("0.weight") == 0

    assert torch.equal(mask(1), mask(1))
    assert not torch.equal(mask(1), mask(2))


@pytest.mark.parametrize("fields", [{"exclude": ("3",)}, {"only": ("0*",)}])
def test_patterns_choose_layers(fields: dict[str, tuple[str, ...]]) -> None:
    module = pruned(sparsity=0.5, **fields)
    assert zeros(module.get_parameter("0.weight")) == 64
    assert zeros(module.get_parameter("3.weight")) == 0


def test_a_pattern_that_matches_no_layer_is_refused() -> None:
    with pytest.raises(Invalid, match="convv1") as caught:
        pruned(exclude=("convv1",))
    assert caught.value.code == "pattern_matches_nothing"


def test_the_given_network_is_not_changed() -> None:
    given = network()
    apply(MagnitudePruning(sparsity=0.9), given, Run(0, lambda _message: None, given))
    assert zeros(given.module.get_parameter("0.weight")) == 0
