"""Archives that can't be rebuilt, through inspection, compression and measurement."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from app.core.errors import Invalid
from app.core.recipes import FineTuning, FloatCasting, MagnitudePruning, Step, StructuredPruning, WeightQuantization
from app.core.recipes.recipe import check_editable
from tests.worker.archives.folders import VECTORS, ArchiveFolder
from tests.worker.archives.odd_networks import (
    ODD,
    Choosing,
    Counting,
    Grouped,
    Halving,
    Listing,
    Opaque,
    Remembering,
    Repeating,
    Scaled,
    Waiting,
)
from tests.worker.jobs import DATA
from worker.loading import load_network


def folder_of(kind: Callable[[], nn.Module], path: Path, inputs: list[dict] | None = VECTORS) -> ArchiveFolder:
    torch.manual_seed(0)
    return ArchiveFolder(path / "job", kind(), inputs)


BLOCKED_BY = {
    Remembering: ("prim::SetAttr", "last"),
    Counting: ("aten::add_", ""),
    Halving: ("prim::Loop", ""),
    Waiting: ("prim::Loop", ""),
    Choosing: ("prim::If", ""),
    Listing: ("prim::Loop", ""),
    Grouped: ("prim::If", ""),
    Repeating: ("prim::If", ""),
    Opaque: ("prim::If", "first"),
}

PARTS = {
    Choosing: {"usual": True, "rare": False},
    Repeating: {"lstm": True, "fc": True},
    Opaque: {"first": False, "second": False},
}


@pytest.mark.parametrize("kind", ODD)
def test_the_facts_say_what_blocks_the_whole_and_what_can_be_edited(kind: type[nn.Module], tmp_path: Path) -> None:
    facts = folder_of(kind, tmp_path).inspected().facts
    assert facts.editable == ("no" if kind is Opaque else "partly")
    assert BLOCKED_BY[kind] in {(blocker.operator, blocker.where) for blocker in facts.blocked_by}
    assert facts.outputs == ("torchscript",)
    assert {part.name: part.editable for part in facts.parts} == PARTS.get(kind, {"body": True})
    assert facts.parameters == sum(parameter.numel() for parameter in kind().parameters())
    available = {one.technique for one in facts.techniques if one.available}
    assert {"magnitude_pruning", "float_casting", "weight_quantization"} <= available
    assert ("structured_pruning" in available) == (kind is not Opaque)
    assert not available & {"dynamic_quantization", "static_quantization", "layer_pruning"}


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (Remembering, MagnitudePruning()),
        (Counting, FloatCasting()),
        (Repeating, MagnitudePruning()),
        (Opaque, MagnitudePruning()),
    ],
)
def test_values_change_and_the_file_runs_as_the_network_did(kind: type[nn.Module], step: Step, tmp_path: Path) -> None:
    folder = folder_of(kind, tmp_path)
    compression = folder.compressed(step)
    before, after = compression.files[0], next(file for file in compression.files if file.role == "artifact")
    found = folder.measured(compression)
    assert found["upload"].verified.max_difference == 0
    assert found["artifact"].verified.max_difference == pytest.approx(0, abs=1e-6)
    if step.technique == "magnitude_pruning":
        assert after.nonzero_parameters < 0.7 * before.nonzero_parameters
    else:
        assert found["artifact"].quality.cosine > 0.9999


@pytest.mark.parametrize("kind", [Remembering, Counting, Listing])
def test_units_are_removed_from_parts_and_written_back(kind: type[nn.Module], tmp_path: Path) -> None:
    folder = folder_of(kind, tmp_path)
    compression = folder.compressed(StructuredPruning(ratio=0.5))
    after = next(file for file in compression.files if file.role == "artifact")
    assert after.parameters < compression.files[0].parameters
    assert after.macs < compression.files[0].macs
    assert folder.measured(compression)["artifact"].verified.max_difference == pytest.approx(0, abs=1e-6)
    shapes = {name: tuple(one.shape) for name, one in folder.archive(compression).named_parameters()}
    assert shapes["body.0.weight"] == (16, 6)
    assert shapes["body.2.weight"] == (6, 16)


def test_a_part_whose_code_works_with_its_sizes_is_left_as_it_was(tmp_path: Path) -> None:
    folder = folder_of(Grouped, tmp_path)
    compression = folder.compressed(StructuredPruning(ratio=0.5))
    assert any("`body` is left as it was" in warning for warning in compression.warnings)
    assert folder.measured(compression)["artifact"].quality.cosine == pytest.approx(1)


def test_what_is_never_called_keeps_its_shapes_and_is_named(tmp_path: Path) -> None:
    folder = folder_of(Choosing, tmp_path)
    compression = folder.compressed(StructuredPruning())
    assert any("`rare`" in warning and "isn't called" in warning for warning in compression.warnings)
    assert folder.archive(compression)(torch.full((2, 6), 2000.0)).shape == (2, 6)


def test_what_cannot_be_done_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    facts = folder_of(Remembering, tmp_path).inspected().facts
    check_editable(facts, ("torchscript",))
    with pytest.raises(Invalid, match="torchscript") as refusal:
        check_editable(facts, ("onnx",))
    assert refusal.value.code == "output_unavailable"
    assert StructuredPruning().unfit_for(facts) is None
    assert StructuredPruning(criterion="taylor").unfit_for(facts) is not None
    assert StructuredPruning(target={"parameters": 300}).unfit_for(facts) is not None


def test_the_whole_can_be_trained_through_its_own_forward(tmp_path: Path) -> None:
    """Gradients reach the parts' parameters, and the archive runs with what they become."""
    folder = folder_of(Remembering, tmp_path)
    module = load_network(folder.model, folder.path, None).module
    examples = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = module(examples).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert losses == sorted(losses, reverse=True)


def test_a_copy_is_edited_without_the_first(tmp_path: Path) -> None:
    folder = folder_of(Remembering, tmp_path)
    network = load_network(folder.model, folder.path, None)
    examples = torch.ones(3, 6)
    before = network.run(examples)[0].clone()
    other = replace(network, module=deepcopy(network.module))
    with torch.no_grad():
        next(other.module.parameters()).zero_()
    assert not torch.equal(other.run(examples)[0], before)
    assert torch.equal(network.run(examples)[0], before)


def test_fine_tuning_learns_through_the_archives_own_forward(tmp_path: Path) -> None:
    folder = folder_of(Remembering, tmp_path)
    x = np.random.default_rng(0).standard_normal((200, 6), dtype=np.float32)
    np.savez(folder.path / DATA.path, x=x, y=x.argmax(1))
    step = FineTuning(epochs=6, learning_rate=0.01)
    compression = folder.compressed(MagnitudePruning(sparsity=0.3), step, data=DATA)
    found = folder.measured(compression, data=DATA)
    assert found["artifact"].quality.value > found["upload"].quality.value + 0.1
    after = next(file for file in compression.files if file.role == "artifact")
    assert after.nonzero_parameters < 0.8 * after.parameters
    facts = folder.inspected().facts
    assert step.unfit_for(facts) is None
    assert FineTuning(start="scratch").unfit_for(facts) is not None


SCALED = [{"name": "x", "shape": ["batch", 6]}, {"name": "rate", "value": 16000}]


def test_a_plain_number_is_an_argument_of_the_upload_and_fixed_in_what_is_rebuilt(tmp_path: Path) -> None:
    folder = folder_of(Scaled, tmp_path, SCALED)
    assert folder.inspected().facts.editable == "whole"
    compression = folder.compressed(WeightQuantization(), outputs=("torchscript", "onnx"))
    found = folder.measured(compression)
    assert found["upload"].verified.max_difference == pytest.approx(0, abs=1e-6)
    assert found["artifact"].quality.cosine > 0.999
    assert folder.archive(compression)(torch.ones(2, 6)).shape == (2, 6)


def test_a_number_that_nobody_gives_is_guessed(tmp_path: Path) -> None:
    inspection = folder_of(Scaled, tmp_path, None).inspected()
    assert inspection.inputs_from == "guessed"
    assert [spec.name for spec in inspection.inputs] == ["x", "rate"]


def test_a_number_alone_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refusal:
        folder_of(Scaled, tmp_path, [{"name": "rate", "value": 1}]).inspected()
    assert refusal.value.code == "forward_failed"
