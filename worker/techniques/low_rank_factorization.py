"""Low-rank factorization: layers as chains of smaller ones, where that saves multiply-accumulates."""

from copy import deepcopy
from dataclasses import replace

from torch import fx, nn

from app.core.errors import Invalid
from app.core.recipes import LowRankFactorization
from worker.factorization.allocation import Whole, allocated
from worker.factorization.graph import called_layers, other_reader, positions, put_chain
from worker.factorization.layers import factored
from worker.factorization.plans import Layer, Plan
from worker.layer_selection import selected
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d)
DONE, LEFT = "Factored layers", "Layers left as they are"


@apply.register
def low_rank_factorization(step: LowRankFactorization, network: Network, run: Run) -> Network:
    """The layer `conv1` becomes `conv1.0`, `conv1.1` and so on."""
    module = deepcopy(network.module)
    layers, left = _fit_layers(step, network)
    plans = _plans(step, layers)
    for number, (name, plan) in enumerate(plans.items()):
        run.progress(number / len(plans), f"Factoring {name}")
        if plan.macs >= layers[name].macs:
            left[name] = _saves_nothing(plan, layers[name])
        else:
            _factor(module, name, layers[name], plan, run)
    for name, reason in left.items():
        run.detail(LEFT, layer=name, reason=reason)
    if len(left) == len(plans.keys() | left.keys()):
        raise _nothing(step, left)
    module.recompile()
    return replace(network, module=module)


def _fit_layers(step: LowRankFactorization, network: Network) -> tuple[dict[str, Layer], dict[str, str]]:
    """Those that can be factored, and for every other chosen layer the reason why not."""
    called = called_layers(network.module, KINDS)
    at = positions(network, called)
    chosen = selected(step, called)
    reasons = {name: _unfit(step, network.module, name) for name in chosen}
    fit = {name: Layer.of(step, called[name], at[name]) for name in chosen if reasons[name] is None}  # type: ignore[arg-type]
    return fit, {name: reason for name, reason in reasons.items() if reason is not None}


def _unfit(step: LowRankFactorization, module: fx.GraphModule, name: str) -> str | None:
    layer = module.get_submodule(name)
    if isinstance(layer, nn.Linear) and step.method in ("tucker", "cp"):
        return f"{step.method} is for convolutions; svd and auto factor linear layers"
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups > 1:
        return "it is a grouped convolution, whose groups share no weights that could be factored together"
    reader = other_reader(module, name)
    if reader is not None:
        return f"its weights are read elsewhere too ({reader}): a chain would come beside them"
    return None


def _plans(step: LowRankFactorization, layers: dict[str, Layer]) -> dict[str, Plan]:
    if step.rank is not None:
        return {name: layer.with_rank(step.rank) for name, layer in layers.items()}
    if step.energy is not None:
        return {name: layer.with_energy(step.energy) for name, layer in layers.items()}
    kept = 1 - step.amount
    if step.method == "cp":  # nothing tells what a rank loses before it is fitted: each layer gives the same share
        return {name: layer.within(kept * layer.macs) for name, layer in layers.items()}
    return _spread(layers, kept)


def _spread(layers: dict[str, Layer], kept: float) -> dict[str, Plan]:
    """More is taken from those that lose less by it."""
    untouched = {name: layer.untouched() for name, layer in layers.items()}
    cheaper = {name: [plan for plan in layer.choices() if plan.macs < layer.macs] for name, layer in layers.items()}
    if not any(cheaper.values()):
        return untouched
    whole = Whole(sum(plan.macs for plan in untouched.values()), sum(plan.weights for plan in untouched.values()))
    return allocated({name: (plan, *cheaper[name]) for name, plan in untouched.items()}, whole, kept)


def _saves_nothing(plan: Plan, layer: Layer) -> str:
    if plan.method == "none":
        return "any chain takes as much work, or factoring other layers loses less"
    return f"a chain of rank {_written(plan)} takes {plan.macs:,} multiply-accumulates, the layer {layer.macs:,}"


def _written(plan: Plan) -> str:
    return " x ".join(str(rank) for rank in plan.ranks)


def _factor(module: fx.GraphModule, name: str, layer: Layer, plan: Plan, run: Run) -> None:
    result = factored(layer.layer, plan, run.seed)
    put_chain(module, name, result.chain)
    run.detail(
        DONE,
        layer=name,
        method=plan.method,
        rank=_written(plan),
        relative_error=result.error,
        macs_before=layer.macs,
        macs_after=plan.macs,
    )


def _nothing(step: LowRankFactorization, left: dict[str, str]) -> Invalid:
    why = "; ".join(f"{name}: {reason}" for name, reason in list(left.items())[:5]) or "no layer was chosen"
    advice = "`rank`" if step.rank is not None else "`energy`" if step.energy is not None else "amount of work to keep"
    return Invalid(
        f"No layer becomes cheaper ({why}). Ask for a lower {advice} or another `method`, or leave the step out.",
        code="nothing_factored",
        title="Nothing was factored",
    )
