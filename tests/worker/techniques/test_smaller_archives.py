"""Archives of many kinds with fewer layers and with factored ones: they run, travel as a state dict, and can be
imported again. `benchmarks/smaller_archives.py` does the same with all archives and every format."""

from pathlib import Path

import pytest
import torch

from app.core.inputs import InputSpec
from app.core.recipes import LayerPruning, LowRankFactorization, StepBase
from tests.worker.importing.archives import archive_of, reopened
from tests.worker.importing.networks import CASES, Case
from worker.exporting import export
from worker.exporting.load_network import load_network
from worker.loading.torchscript import lift_archive
from worker.loading.verification import difference_between, verify
from worker.network import Network, tensors_in
from worker.run import Run
from worker.techniques import apply

BY_NAME = {case.name: case for case in CASES}
FACTORED = LowRankFactorization(rank=1)
SHALLOWER = LayerPruning(count=1, criterion="random")
PAIRS = [
    *((name, FACTORED) for name in ("convolutional", "u-net", "inverted residual", "transformer", "tied")),
    *((name, SHALLOWER) for name in ("residual", "inverted residual", "transformer", "lstm")),
]


def network_of(case: Case) -> Network:
    torch.manual_seed(0)
    kind = {"dtype": "int64", "low": 1, "high": case.tokens} if case.tokens else {}
    inputs = tuple(InputSpec(name=f"x{n}", shape=("batch", *shape), **kind) for n, shape in enumerate(case.shapes))
    return Network(lift_archive(archive_of(case.build().eval(), case, "trace"), inputs).module, inputs)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("name", "step"), PAIRS, ids=lambda value: getattr(value, "technique", value))
def test_what_is_left_runs_travels_and_comes_back(name: str, step: StepBase, tmp_path: Path) -> None:
    case = BY_NAME[name]
    network = network_of(case)
    changed = apply(step, network, Run(0, lambda _message: None, network))
    assert changed.parameters < network.parameters

    export(changed, "state_dict", tmp_path / "model.safetensors")
    loaded = load_network(tmp_path / "network.json", tmp_path / "model.safetensors")
    with torch.no_grad():
        difference = difference_between(tensors_in(loaded(*case.inputs(5))), changed.run(*case.inputs(5)))
    assert difference is not None
    assert difference.is_small

    archive = reopened(torch.jit.trace(changed.module, case.inputs(2), check_trace=False))
    verify(lift_archive(archive, network.inputs).module, changed.module, case.inputs)
