"""How much each layer matters: pruned and rounded alone, by how much do the answers change?

As in Li et al., Pruning Filters for Efficient ConvNets, 2017, where each layer is pruned alone and the network judged
without training, and in Cai et al., ZeroQ, 2020, for bits.
"""

import traceback
from collections.abc import Iterator
from time import monotonic

from app.core.errors import Problem
from app.core.measurements import Quality
from app.core.sensitivities import LayerSensitivity, Sensitivity
from worker.evaluation.examples import Examples, examples_of, synthetic_examples
from worker.network import Network
from worker.run import Run
from worker.sensitivity.changes import Change, changes_of
from worker.sensitivity.yardstick import Yardstick, affordable_examples

SYNTHETIC = (
    "There was no data set: the answers are to random inputs, which a network may answer otherwise than real ones. "
    "Send a data set to know what a change costs."
)
LATE = "Time was enough for {done} of {all} changes. The others are left out."


def measure_sensitivity(network: Network, run: Run, seconds: float) -> Sensitivity:
    """The network is `run.upload` or a stage of it. After `seconds` no further change is begun."""
    end, changes = monotonic() + seconds, changes_of(network, run)
    yardstick = Yardstick.on(_examples(network, run, len(changes)), network, run.upload)
    before, rows, done = yardstick.quality_before, list[LayerSensitivity](), 0
    for change in changes:
        if monotonic() > end:
            run.warn(LATE.format(done=done, all=len(changes)))
            break
        run.progress(done / len(changes), f"Changing {change.layer} alone")
        rows += _rows(change, yardstick, before)
        done += 1
    complete = done == len(changes)
    return Sensitivity(baseline=before, layers=tuple(rows), complete=complete, warnings=tuple(run.warnings))


def _examples(network: Network, run: Run, evaluations: int) -> Examples:
    """Training examples, drawn by the seed."""
    most = affordable_examples(network, evaluations)
    if run.data is None:
        run.warn(SYNTHETIC)
        return synthetic_examples(network.inputs, run.seed, most)
    train = run.data.train
    return examples_of(train.at(train.chosen(most, run.seed)), network.inputs)


def _rows(change: Change, yardstick: Yardstick, before: Quality) -> Iterator[LayerSensitivity]:
    """None of a change that can't be made to the layer, or that leaves nothing to be judged."""
    try:
        changed = change.changed()
        if changed is not None:
            yield _row(change, *yardstick.judged(changed), before)
    except Problem:
        traceback.print_exc()


def _row(change: Change, quality: Quality, error: float, before: Quality) -> LayerSensitivity:
    return LayerSensitivity(
        layer=change.layer,
        tied=change.tied,
        technique=change.technique,
        amount=change.amount,
        quality=quality.value,
        quality_change=quality.value - before.value,
        agreement=quality.agreement,
        kl_divergence=quality.kl_divergence,
        error=error,
    )
