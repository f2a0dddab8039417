"""Bits by layer. Sensitivity is measured as in Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, 2020: each
layer is rounded alone, and the network's answers are compared with what they were."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape

from app.core.errors import Invalid, Problem
from app.core.recipes import MixedPrecision, WeightQuantization
from worker.exporting.sizes import written_bytes
from worker.layer_selection import selected
from worker.network import Network, layers_of
from worker.packing.network import packed_alike, with_packed
from worker.packing.packed import Packed, bytes_of
from worker.quantization.bit_allocation import Allocation, Precision, allocations, size_of
from worker.quantization.layer_table import decibels
from worker.run import Run
from worker.sensitivity.yardstick import Yardstick, held_back_examples
from worker.techniques import apply
from worker.techniques.weight_quantization import weight_quantization

FLOAT_BITS = 32
# In a TorchScript archive torch numbers types by how many it has seen before, and numbers differ in length.
SPARE_BYTES = 512
MEASURED, CHOSEN = 0.6, 0.9
# Standard errors above a mean that 95 % of such means lie below.
ONE_SIDED_95 = 1.645
FEW_EXAMPLES = 100
FEW = (
    "Only {examples} training examples were there to keep to `max_quality_drop`: on other examples quality may fall by "
    "more."
)


@apply.register
def mixed_precision(step: MixedPrecision, network: Network, run: Run) -> Network:
    layers = [n for n, layer in layers_of(network.module).items() if any(True for _ in layer.parameters(recurse=False))]
    chosen = selected(step, layers)
    yardstick = Yardstick.on(held_back_examples(network, run, len(chosen) * len(step.bits)), network, run.upload)
    if yardstick.examples.synthetic:
        run.warn("Without data the layers were judged by what they do to the answers to random inputs.")
    trial = _Trial(step, network, run, _variants(step, chosen, network, run, yardstick))
    allocation = _within_quality(trial, yardstick) if step.budget.size_bytes is None else _within_size(trial)
    _tell(trial, allocation)
    return trial.changed(allocation)


@dataclass(frozen=True)
class _Variant:
    """A layer's weights in so many bits, by name, and what they take and do; or those of several layers, where all of
    them must have as many."""

    layers: Sequence[str]
    packed: Mapping[str, Packed]
    precision: Precision


def _variants(
    step: MixedPrecision, layers: Sequence[str], network: Network, run: Run, yardstick: Yardstick
) -> dict[str, dict[int, _Variant]]:
    """By bits, and by layer or the first of those that must have as many. Of layers that have weights to pack; all of
    these can stay in float32."""
    found: dict[str, dict[int, _Variant]] = {}
    for number, alike in enumerate(units := packed_alike(network, layers)):
        run.progress(MEASURED * number / len(units), f"Measuring how many bits {', '.join(alike)} needs")
        packed = {bits: _packed_alone(step, bits, alike, network, run) for bits in step.bits}
        if any(packed.values()):
            found[alike[0]] = {FLOAT_BITS: _measured(alike, FLOAT_BITS, {}, network, None)}
            found[alike[0]] |= {b: _measured(alike, b, of, network, yardstick) for b, of in packed.items() if of}
    if not found:
        raise Problem(
            f"{step.technique} found no weight that would be smaller in {' or '.join(map(str, step.bits))} bits. Leave "
            "the step out, or widen `only` and `exclude`.",
            code="nothing_quantized",
            title="Nothing was quantized",
        )
    return found


def _packed_alone(
    step: MixedPrecision, bits: int, layers: Sequence[str], network: Network, run: Run
) -> Mapping[str, Packed]:
    try:
        changed = weight_quantization(_stored(step, bits, layers), network, run.silenced())
    except Problem:  # too small a layer, or an archive that can't hold it so
        return {}
    return {name: packed for name, packed in changed.packed.items() if name not in network.packed}


def _stored(step: MixedPrecision, bits: int, layers: Sequence[str]) -> WeightQuantization:
    only = tuple(escape(layer) for layer in layers)
    return WeightQuantization.model_validate({"bits": bits, "method": step.method, "only": only})


def _measured(
    layers: Sequence[str], bits: int, packed: Mapping[str, Packed], network: Network, yardstick: Yardstick | None
) -> _Variant:
    size = sum(_bytes_in(layer, packed, network) for layer in layers)
    damage = yardstick.error(_with(network, packed)) if yardstick else 0.0
    return _Variant(layers, packed, Precision(bits, size, damage))


def _bytes_in(layer: str, packed: Mapping[str, Packed], network: Network) -> int:
    own = network.module.get_submodule(layer).named_parameters(layer, recurse=False)
    return sum(bytes_of(packed[n]) if n in packed else p.numel() * p.element_size() for n, p in own)


def _with(network: Network, packed: Mapping[str, Packed]) -> Network:
    return with_packed(network, (), lambda name, _parameter: packed.get(name))


@dataclass(frozen=True)
class _Trial:
    """What could be done to the network, and the network with some of it done."""

    step: MixedPrecision
    network: Network
    run: Run
    variants: Mapping[str, Mapping[int, _Variant]]

    def allocations(self) -> list[Allocation]:
        return allocations({name: [each.precision for each in of.values()] for name, of in self.variants.items()})

    def rounded(self, allocation: Allocation) -> Network:
        """Answers as the files will, and can't be written."""
        chosen = (self.variants[layer][precision.bits].packed for layer, precision in allocation.items())
        return _with(self.network, {name: packed for of in chosen for name, packed in of.items()})

    def changed(self, allocation: Allocation, run: Run | None = None) -> Network:
        layers = defaultdict[int, list[str]](list)
        for layer, precision in allocation.items():
            layers[precision.bits].extend(self.variants[layer][precision.bits].layers)
        network = self.network
        for bits in sorted(layers.keys() - {FLOAT_BITS}):
            network = weight_quantization(_stored(self.step, bits, layers[bits]), network, run or self.run)
        return network


def _within_quality(trial: _Trial, yardstick: Yardstick) -> Allocation:
    """The smallest that keeps to the budget, as far as quality falls with each layer that is stored in fewer bits."""
    budget, found = trial.step.budget.max_quality_drop, trial.allocations()
    assert budget is not None
    falls = {0: (0.0, 0.0)}

    def likely_fall(position: int) -> float:
        trial.run.progress(MEASURED + (CHOSEN - MEASURED) * min(1, len(falls) / 8), "Measuring quality")
        falls[position] = yardstick.fall(trial.rounded(found[position]))
        return falls[position][0] + ONE_SIDED_95 * falls[position][1]

    position = bisect_right(range(1, len(found)), budget + 1e-9, key=likely_fall)
    before = yardstick.quality_before
    trial.run.detail(
        "Budget",
        metric=before.metric.replace("_", " "),
        before=before.value,
        drop=falls[position][0],
        standard_error=falls[position][1],
        allowed=budget,
        training_examples=before.examples,
    )
    if before.examples < FEW_EXAMPLES:
        trial.run.warn(FEW.format(examples=before.examples))
    return found[position]


def _within_size(trial: _Trial) -> Allocation:
    """The first, from the largest on, of which all files keep to the budget."""
    budget, found = trial.step.budget.size_bytes, trial.allocations()
    assert budget is not None
    around = _largest_file(trial, found[-1]) - size_of(found[-1])
    if around + size_of(found[-1]) > budget:
        raise _out_of_reach(trial.step, budget, around + size_of(found[-1]))
    for allocation in found:
        if around + size_of(allocation) <= budget:
            written = _largest_file(trial, allocation)
            if written <= budget:
                trial.run.detail("Budget", size_bytes_at_most=written, allowed=budget)
                return allocation
            # What stands around the weights, such as the operators that unpack them, isn't the same for all.
            around = written - size_of(allocation)
    return found[-1]


def _largest_file(trial: _Trial, allocation: Allocation) -> int:
    """At most; a file names the steps that made it."""
    changed = trial.changed(allocation, trial.run.silenced())
    network = replace(changed, steps=(*trial.network.steps, trial.step))
    return max(written_bytes(network, output) for output in trial.run.formats) + SPARE_BYTES


def _out_of_reach(step: MixedPrecision, budget: int, smallest: int) -> Invalid:
    return Invalid(
        f"With `bits` {list(step.bits)} the largest file takes {smallest:,} bytes at the least, and `size_bytes` is "
        f"{budget:,}. Allow so many bytes or fewer bits, prune before this step, or ask for one format alone.",
        code="size_out_of_reach",
        title="The size can't be reached",
    )


def _tell(trial: _Trial, allocation: Allocation) -> None:
    for first, variants in trial.variants.items():
        chosen = variants[allocation[first].bits]
        errors = {
            f"sqnr_db_in_{bits}_bits": decibels(each.precision.damage)
            for bits, each in sorted(variants.items())
            if bits != FLOAT_BITS
        }
        for layer in chosen.layers:
            size, before = (_bytes_in(layer, packed, trial.network) for packed in (chosen.packed, {}))
            bits = chosen.precision.bits
            trial.run.detail("Layers", layer=layer, bits=bits, bytes=size, bytes_before=before, **errors)
    if all(precision.bits == FLOAT_BITS for precision in allocation.values()):
        trial.run.warn("Every layer stays in float32: the budget leaves nothing to save, or asks for nothing.")
