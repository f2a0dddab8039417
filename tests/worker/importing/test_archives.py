"""What every archive in the table must become: an equal network, under its own names, that trains and travels."""

import copy

import pytest
import torch
from torch import nn

from tests.worker.importing.archives import ARCHIVES, NAMES, Way, rebuilt_case, reopened
from tests.worker.importing.checks import archive_names, assert_a_step_lowers_the_loss, assert_same_gradients
from tests.worker.importing.networks import Case
from worker.exporting.load_network import AttentionDropout
from worker.loading.importing import import_torchscript
from worker.loading.lifting import lift
from worker.loading.verification import verify

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:.*was found in ScriptModule constants"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
]
every_archive = pytest.mark.parametrize(("case", "way"), ARCHIVES, ids=NAMES)
TAKEN_APART_BY_TRACES = frozenset({"cells", "unrolled"})
TORCHS_LAYERS = frozenset(name for name in dir(nn) if name[0].isupper()) - {"Module", "MultiheadAttention"}
ON_ITS_OWN_IN_TRAINING = frozenset({"control flow"})  # it has a branch for training, of which the import warns


def without_dropout(module: nn.Module) -> nn.Module:
    module = copy.deepcopy(module)
    for layer in module.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd | AttentionDropout):
            layer.p = 0.0
        elif isinstance(getattr(layer, "dropout", None), float):
            layer.dropout = 0.0
    return module


@every_archive
def test_answers_equal_the_archives_at_two_batch_sizes(case: Case, way: Way) -> None:
    rebuilt = rebuilt_case(case, way)
    assert verify(rebuilt.network, rebuilt.archive, case.inputs).largest < 1e-5


@every_archive
def test_names_equal_the_archives(case: Case, way: Way) -> None:
    rebuilt = rebuilt_case(case, way)
    theirs, ours = set(rebuilt.source.state_dict()), set(archive_names(rebuilt.network).values())
    assert theirs <= ours
    assert all(name.startswith("constant_") for name in ours - theirs)


@every_archive
def test_gradients_equal_the_source_classs(case: Case, way: Way) -> None:
    rebuilt = rebuilt_case(case, way)
    assert_same_gradients(rebuilt.source, rebuilt.network, case.inputs(5))


@every_archive
def test_training_mode_equals_the_source_classs(case: Case, way: Way) -> None:
    """Batch norm uses and keeps statistics of the batch again; dropout is off in both, for it is random."""
    if case.name in ON_ITS_OWN_IN_TRAINING:
        pytest.skip("left out, with a warning")
    rebuilt = rebuilt_case(case, way)
    source, network = without_dropout(rebuilt.source).train(), without_dropout(rebuilt.network).train()
    assert_same_gradients(source, network, case.inputs(5))
    for name, buffer in network.named_buffers():
        if "running" in name or "tracked" in name:
            torch.testing.assert_close(buffer, source.get_buffer(name))


@every_archive
def test_a_training_step_lowers_the_loss(case: Case, way: Way) -> None:
    assert_a_step_lowers_the_loss(rebuilt_case(case, way).network, case.inputs(5))


@every_archive
def test_survives_tracing_and_is_imported_again(case: Case, way: Way) -> None:
    rebuilt = rebuilt_case(case, way)
    archive = reopened(torch.jit.trace(rebuilt.network, case.inputs(2), strict=False, check_trace=False))
    assert verify(rebuilt.network, archive, case.inputs).largest < 1e-5
    again = lift(import_torchscript(archive, case.inputs(2)).graph_module)
    assert layer_kinds(again) == layer_kinds(rebuilt.network) or case.name in TAKEN_APART_BY_TRACES


@every_archive
def test_layers_are_the_source_classs(case: Case, way: Way) -> None:
    """Attention's in-projection and normalized weights are computed from parameters that have no layer."""
    rebuilt = rebuilt_case(case, way)
    if case.name in TAKEN_APART_BY_TRACES and way == "trace":
        pytest.skip("a trace holds the operators of a cell, not the cell")
    kinds = layer_kinds(rebuilt.network)
    for path, kind in layer_kinds(rebuilt.source).items():
        if kind in TORCHS_LAYERS:
            assert kinds[path] == kind


def layer_kinds(network: nn.Module) -> dict[str, str]:
    """Path -> kind, of layers with tensors of their own."""
    kinds = {name: type(one).__name__ for name, one in network.named_modules() if one._parameters and not one._modules}
    return {name: kind.removeprefix("NonDynamicallyQuantizable") for name, kind in kinds.items()}
