import numpy as np
import pytest
import torch
from torch import fx, nn

from app.core.errors import Invalid, Problem
from app.core.inputs import InputSpec
from app.core.recipes import MagnitudePruning
from tests.worker.importance.runs import network_of, run_over
from worker.exporting.state_dict import export_state_dict
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


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_leaving_every_layer_out_is_a_problem(scope: str) -> None:
    with pytest.raises(Problem) as caught:
        pruned(exclude=("*",), scope=scope)
    assert caught.value.code == "nothing_to_prune"


def test_the_given_network_is_not_changed() -> None:
    given = network()
    apply(MagnitudePruning(sparsity=0.9), given, Run(0, lambda _message: None, given))
    assert zeros(given.module.get_parameter("0.weight")) == 0


def convolutions() -> Network:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 10))
    return network_of(layers, (3, 4, 4))


def removed_from(network: Network, run: Run | None = None, **fields) -> dict[str, torch.Tensor]:
    run = run or Run(0, lambda _message: None, network)
    module = apply(MagnitudePruning(**fields), network, run).module
    return {name: weight == 0 for name, weight in module.named_parameters() if weight.ndim > 1}


@pytest.mark.parametrize(("pattern", "kept", "size"), [("2:4", 2, 4), ("4:8", 4, 8)])
def test_exactly_n_of_m_neighbours_remain_and_they_are_the_largest(pattern: str, kept: int, size: int) -> None:
    network = convolutions()
    for name, mask in removed_from(network, pattern=pattern).items():
        weight = network.module.get_parameter(name).detach().abs().flatten(1)
        groups = list(zip(mask.flatten(1).split(size, 1), weight.split(size, 1), strict=True))
        for taken, values in groups:
            remain = min(kept, taken.shape[1])  # 27 inputs aren't a multiple: of the remainder as many stay
            assert ((~taken).sum(1) == remain).all()
            if taken.any():
                lowest = values.masked_fill(taken, torch.inf).amin(1)
                assert (lowest >= values.masked_fill(~taken, 0).amax(1)).all()


def test_whole_blocks_are_removed() -> None:
    network = convolutions()
    masks = removed_from(network, pattern="block", block=(4, 2), sparsity=0.5)
    blocks = 0
    for mask in masks.values():
        for rows in mask.flatten(1).split(4, 0):
            for block in rows.split(2, 1):
                assert block.all() or not block.any()
                blocks += int(block.all())
    assert blocks == round(0.5 * (2 * 14 + 3 * 16))


@pytest.mark.parametrize(("criterion", "norm"), [("l1", 1), ("l2", 2)])
def test_blocks_are_ranked_by_their_norm(criterion: str, norm: int) -> None:
    network = convolutions()
    masks = removed_from(network, pattern="block", block=(1, 27), criterion=criterion, only=("0",), sparsity=0.5)
    norms = network.module.get_parameter("0.weight").detach().flatten(1).norm(norm, dim=1)
    assert masks["0.weight"].flatten(1).all(1).nonzero().flatten().tolist() == sorted(norms.argsort()[:4].tolist())


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_what_a_round_removed_stays_removed_while_others_train(kind: str, sparsity: float) -> None:
    network = convolutions()
    run = run_over(network, np.random.default_rng(0).normal(size=(40, 3, 4, 4)).astype(np.float32))
    schedule = {"kind": kind, "rounds": 3, "epochs": 1}
    masks = removed_from(network, run, sparsity=sparsity, schedule=schedule)
    assert sum(int(mask.sum()) for mask in masks.values()) == round(sparsity * (216 + 320))
    assert len(run.epochs) == 3


def test_training_between_rounds_changes_the_weights_that_remain() -> None:
    network = convolutions()
    x = np.random.default_rng(0).normal(size=(40, 3, 4, 4)).astype(np.float32)
    run = run_over(network, x)
    trained = apply(MagnitudePruning(schedule={"epochs": 2}), network, run).module
    plain = apply(MagnitudePruning(), network, run).module
    assert torch.equal(trained.get_parameter("3.weight") == 0, plain.get_parameter("3.weight") == 0)
    assert not torch.equal(trained.get_parameter("3.weight"), plain.get_parameter("3.weight"))


# Between 121,000 bytes and 107,000 there is no file: as soon as zeros are left out, zlib sees the rest.
@pytest.mark.parametrize("target", [105_000, 60_000, 30_000])
def test_a_file_fits_its_target_and_fills_it(tmp_path, target: int) -> None:
    layers = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 50))
    network = network_of(layers, (100,))
    step = MagnitudePruning(target_size_bytes=target)
    export_state_dict(apply(step, network, Run(0, lambda _message: None, network)), tmp_path / "model.safetensors")
    assert target - 1024 <= (tmp_path / "model.safetensors").stat().st_size <= target


def test_a_target_that_is_met_already_removes_nothing() -> None:
    assert not any(mask.any() for mask in removed_from(convolutions(), target_size_bytes=10**9).values())


def test_a_target_below_what_cannot_be_removed_names_the_nearest() -> None:
    with pytest.raises(Invalid, match=r"still has \d+") as caught:
        removed_from(convolutions(), target_size_bytes=100)
    assert caught.value.code == "target_not_met"


def test_pruning_twice_counts_what_is_gone_already() -> None:
    network = convolutions()
    run = Run(0, lambda _message: None, network)
    for criterion in ("l1", "random"):
        step = MagnitudePruning(criterion=criterion, sparsity=0.5)
        once = apply(step, network, run)
        twice = apply(step, once, run)
        assert once.nonzero_parameters == twice.nonzero_parameters


def test_a_layer_that_loses_everything_is_named_in_a_warning() -> None:
    given = network()
    run = Run(0, lambda _message: None, given)
    apply(MagnitudePruning(sparsity=0.9), given, run)
    assert any("Nothing is left of 0.weight" in warning for warning in run.warnings)
