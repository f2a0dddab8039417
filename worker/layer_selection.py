"""Which layers a step touches: `exclude` and `only` against the network's layer names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from app.core.errors import Invalid
from app.core.recipes import Step
from worker.network import layers_of

_LISTED = 20


def selected(step: Step, layers: Iterable[str]) -> list[str]:
    """Raises Invalid for a pattern that no layer matches: a misspelt one must not be taken for consent."""
    names = list(layers)
    left_out, chosen = matching(step, step.exclude, names), matching(step, step.only, names)
    return [name for name in names if name not in left_out and (not step.only or name in chosen)]


def matching(step: Step, patterns: Sequence[str], layers: Iterable[str]) -> set[str]:
    """Raises Invalid for a pattern that no layer matches."""
    names = list(layers)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Invalid(
                f"No layer that {step.technique} works on matches {pattern!r}. They are {_listed(names)}.",
                code="pattern_matches_nothing",
                title="A pattern matches no layer",
            )
    return {name for name in names if _matches(name, patterns)}


def layers_left_alone(step: Step, module: nn.Module) -> frozenset[str]:
    """Those with parameters that the step must not touch; "" stands for what belongs to no layer."""
    layers = [name for name, layer in layers_of(module).items() if any(True for _ in layer.parameters(recurse=False))]
    outside = {""} if step.only else set()
    return frozenset({*layers} - {*selected(step, layers)} | outside)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return (", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")) or "none"
