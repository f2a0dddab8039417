"""What a search may do to the numbers of a network: a precision, and what is chosen of it -> quantize steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from typing import Any, ClassVar

from app.core.facts import ModelFacts
from app.core.recipes import Step
from app.core.wanted_files import CAREFUL, PRECISIONS
from worker.search.choosing import Chooser

Unchecked = Step | dict[str, Any]

# Static int8 of which each part is chosen, where the others have one that works in general.
TUNED = "int8-tuned"
MIXED = "mixed"
_CALIBRATIONS = ("percentile", "mse", "min_max", "entropy")
_KEPT_IN_FLOAT: Mapping[str, Any] = {"none": (), "first": "first", "auto": "auto"}
_YES, _NO = "yes", "no"


@dataclass(frozen=True)
class Precisions:
    """`training` is that of quantization-aware training, in fields of its step; `allowed` the budget's
    `max_quality_drop`."""

    facts: ModelFacts
    allowed: float | None
    training: Mapping[str, Any]
    bits: ClassVar[Sequence[int]] = (2, 3, 4, 8)

    def steps(self) -> Mapping[str, tuple[Unchecked, ...]]:
        """By precision; those of `TUNED` are as they are where nothing else is chosen."""
        half = 0.01 if self.allowed is None else self.allowed / 2
        mixed = {"technique": "mixed_precision", "bits": self.bits, "budget": {"max_quality_drop": half}}
        static = _static("percentile", "auto")
        return {
            "float32": (),
            "int8-static": PRECISIONS["int8-static"],
            "int8-careful": PRECISIONS[CAREFUL],
            **({"int8-and-int4": self._with_linear_in_4_bits(static)} if self._has_both() else {}),
            MIXED: (mixed,),
            "int8-aware": ({"technique": "quantization_aware_training", **self.training},),
            **{name: PRECISIONS[name] for name in ("int8-dynamic", "int8-weights", "int4-weights")},
            "int3-weights": ({"technique": "weight_quantization", "bits": 3},),
            TUNED: (static,),
        }

    def drawn(self, chooser: Chooser) -> tuple[Unchecked, ...]:
        """Of `TUNED`."""
        calibration = chooser.suggest_categorical("calibration", _CALIBRATIONS)
        static = _static(calibration, chooser.suggest_categorical("keep_float", list(_KEPT_IN_FLOAT)))
        static |= {"equalize": chooser.suggest_categorical("equalize", [_NO, _YES]) == _YES}
        in_4_bits = self._has_both() and chooser.suggest_categorical("linear_in_4_bits", [_NO, _YES]) == _YES
        return self._with_linear_in_4_bits(static) if in_4_bits else (static,)

    def _has_both(self) -> bool:
        return bool(self._linear()) and any(layer.type.startswith("Conv") for layer in self.facts.layers)

    def _linear(self) -> list[str]:
        """Patterns of their names, which those of their factors begin with."""
        return [f"{escape(layer.name)}*" for layer in self.facts.layers if layer.type == "Linear"]

    def _with_linear_in_4_bits(self, static: dict[str, Any]) -> tuple[Unchecked, ...]:
        """Of a network of convolutions, which need rounded inputs to be fast, linear layers hold many of the weights
        and do little of the work."""
        linear = self._linear()
        packed = {"technique": "weight_quantization", "bits": 4, "method": "hqq", "only": linear}
        return static | {"exclude": linear}, packed


def _static(calibration: str, kept: str) -> dict[str, Any]:
    return {
        "technique": "static_quantization",
        "calibration": calibration,
        "bias_correction": True,
        "keep_float": _KEPT_IN_FLOAT[kept],
    }
