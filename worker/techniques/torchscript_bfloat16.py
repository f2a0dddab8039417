"""What `float_casting` makes of a TorchScript archive: one that computes in bfloat16, where that is asked for, or is
quicker here than to make the stored weights float32 again in each call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, fx

from app.core.errors import Problem
from app.core.recipes import FloatCasting
from worker.evaluation.answers import joined, relative_error
from worker.evaluation.environment import is_computed_here
from worker.evaluation.runtimes import ArchiveRuntime
from worker.evaluation.turns import milliseconds_in_turns
from worker.evaluation.verification import BFLOAT16_TOLERANCE
from worker.exporting.torchscript import export_torchscript
from worker.inputs import as_inputs, random_inputs
from worker.layer_selection import layers_left_alone
from worker.network import ModuleChange, Network, layers_of
from worker.quantization.in_bfloat16 import NORMS, in_bfloat16
from worker.run import Run

EXAMPLES = 8
# The answers of the file that only stores bfloat16 are nearer, so the other one has to be this much quicker.
_WORTH_DIGITS = 1.1
SLOWER_HERE = (
    "This CPU has no instructions for bfloat16: the TorchScript file computes in it, and is several times slower here "
    "than in float32."
)


def computing_in_bfloat16(step: FloatCasting, network: Network, stored: Network, run: Run) -> Network:
    """`network` is as it was before the step, `stored` as the step has packed it: the answer is that, or one that
    computes in bfloat16 when it is written as TorchScript."""
    norms = {name for name, layer in layers_of(network.module).items() if isinstance(layer, NORMS)}
    packed = {name: one for name, one in stored.packed.items() if name.rpartition(".")[0] not in norms}
    computing = replace(stored, before_tracing=(_change(step, network),), packed=packed)
    if step.compute == "bfloat16":
        if "torchscript" in run.formats and not is_computed_here("bfloat16"):
            run.warn(SLOWER_HERE)
        return computing
    return computing if _may_be_quicker(step, network, run) and _is_quicker(computing, stored, run) else stored


def _may_be_quicker(step: FloatCasting, network: Network, run: Run) -> bool:
    is_asked_for = step.dtype == "bfloat16" and step.compute == "auto" and "torchscript" in run.formats
    return is_asked_for and network.runs and not network.keeps_its_forward and is_computed_here("bfloat16")


def _change(step: FloatCasting, network: Network) -> ModuleChange:
    """From the weights as they were: those that are stored are rounded already, and would be rounded twice where batch
    norms become part of them."""
    left_alone = layers_left_alone(step, network.module) | {name.rpartition(".")[0] for name in network.packed}

    def change(_rounded: fx.GraphModule) -> fx.GraphModule:
        module = network.module
        for each in network.before_tracing:
            module = each(module)
        return in_bfloat16(module, left_alone)

    return change


@dataclass(frozen=True)
class _Trial:
    """Of one example; `error` is that of the answers, see `relative_error`."""

    milliseconds: float
    error: float


def _is_quicker(computing: Network, stored: Network, run: Run) -> bool:
    try:
        quick, exact = _trials((computing, stored), run)
    except (Problem, RuntimeError):  # an operation that torch has no kernel for
        return False
    chosen = quick.error <= BFLOAT16_TOLERANCE and quick.milliseconds * _WORTH_DIGITS < exact.milliseconds
    for computed, trial in (("bfloat16", quick), ("float32", exact)):
        numbers = {"milliseconds": round(trial.milliseconds, 3), "error": float(f"{trial.error:.2g}")}
        run.detail("Arithmetic of torch", computed_in=computed, **numbers, chosen=chosen is (computed == "bfloat16"))
    return chosen


def _trials(networks: Sequence[Network], run: Run) -> list[_Trial]:
    """Of the files that will be written."""
    inputs = _examples(run)
    wanted = joined([answer.float().numpy() for answer in networks[0].run(*inputs)])
    with TemporaryDirectory() as folder:
        runtimes = [_loaded(each, Path(folder, f"{number}.pt")) for number, each in enumerate(networks)]
    # First, since some kernels are laid out for the first shape that they get.
    times = milliseconds_in_turns([runtime.bind([one[:1] for one in inputs]) for runtime in runtimes])
    errors = [relative_error(joined(runtime(inputs)), wanted) for runtime in runtimes]
    return [_Trial(*of_one) for of_one in zip(times, errors, strict=True)]


def _loaded(network: Network, path: Path) -> ArchiveRuntime:
    export_torchscript(network, path)
    return ArchiveRuntime(torch.jit.load(path, map_location="cpu").eval(), network.inputs, 1)  # type: ignore[no-untyped-call]


def _examples(run: Run) -> Sequence[Tensor]:
    if run.data is None:
        return random_inputs(run.upload.inputs, EXAMPLES, run.seed)
    arrays, _ = run.data.train.take(run.data.train.chosen(EXAMPLES, run.seed))
    return as_inputs(run.upload.inputs, arrays)
