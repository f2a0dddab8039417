"""Techniques that store weights in fewer bits, and compute with float32 as before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.expected import GATES, ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.measurements import OutputFormat
from app.core.recipes.base import StepBase, missing_matrices

HOLDING_PACKED_WEIGHTS: tuple[OutputFormat, ...] = ("onnx", "torchscript", "state_dict")


# A scale of float32; and for each layer what unpacks its weights.
SCALE_BYTES, OPERATOR_BYTES = 4, 450
# It doesn't find weights of recurrent layers.
_UNKNOWN_TO_NNCF: frozenset[OutputFormat] = frozenset({"openvino"})
# The part of weights that rounding was found to make zero.
_ZEROS = {8: 0.01, 4: 0.15, 3: 0.3, 2: 0.6}


class FloatCasting(StepBase):
    """Weights are stored in 16 bits or 8 and computed with in float32, or in bfloat16 where a runtime can. Inputs and
    answers stay float32."""

    stage = "quantize"
    needs_network = False
    needs_editable_graph = False
    formats: ClassVar[tuple[OutputFormat, ...]] = (*HOLDING_PACKED_WEIGHTS, "openvino")
    summary: ClassVar[str] = "Stores weights as floats of 16 bits, half the size, or of 8; answers hardly change."

    technique: Literal["float_casting"] = "float_casting"
    dtype: Literal["float16", "bfloat16", "float8_e4m3", "float8_e5m2"] = Field(
        "float16",
        description="float16 has more digits, bfloat16 the range of float32. In 8 bits e4m3 has one more digit than "
        "e5m2, each row of weights has a scale, and biases and norms stay in float32.",
    )
    compute: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What a file with weights in bfloat16 computes in, in torchscript and openvino; auto: in OpenVINO "
        "bfloat16, in TorchScript whichever is quicker here.",
    )

    @model_validator(mode="after")
    def _stores_what_it_computes_in(self) -> "FloatCasting":
        if self.compute == "bfloat16" and self.dtype != "bfloat16":
            raise ValueError(f"`compute` in bfloat16 takes weights in bfloat16, not {self.dtype}: set `dtype` to it")
        return self

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        return network.changed(self._cast)

    def _cast(self, layer: ExpectedLayer) -> ExpectedLayer:
        if not self.touches(layer):
            return layer
        if self.dtype.startswith("float8"):
            return layer.stored(8, SCALE_BYTES, 2 * OPERATOR_BYTES)
        return replace(layer.stored(16, 0, 0), vector_bits=16)

    def held_by(self) -> tuple[OutputFormat, ...]:
        """Floats of 8 bits are written as the numbers of their patterns, which OpenVINO has no place for."""
        if self.compute == "bfloat16":
            return ("torchscript", "openvino")
        plain = not self.dtype.startswith("float8")
        return tuple(name for name in self.formats if name != "openvino" or plain)

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.compute == "bfloat16" and facts.editable != "whole":
            return (
                "`compute` in bfloat16 changes what layers are given, which takes a network that is editable as a whole"
            )
        return None


def rounded_to_zero(bits: float) -> float:
    """The part of the weights for which zero is the nearest level."""
    return next((part for most, part in _ZEROS.items() if bits >= most), 0.0)


Method = Literal["affine", "symmetric", "estimation", "mean_rounding", "kmeans", "ternary", "binary", "gptq", "hqq"]
_ONLY_IN: Mapping[Method, int] = {"ternary": 2, "binary": 1}
_TWO_OR_MORE: tuple[Method, ...] = ("symmetric", "gptq")
# Scales weigh more beside fewer bits: with these a file has less than a tenth of them.
_GROUPS = {2: 256, 1: 512}


class WeightQuantization(StepBase):
    """Weights are stored in fewer bits, with scales for groups of neighbours or levels for each layer; computed with
    in float32. docs/techniques/weight_quantization.md has the source of each method.
    """

    stage = "quantize"
    needs_network = False
    needs_editable_graph = False
    formats: ClassVar[tuple[OutputFormat, ...]] = (*HOLDING_PACKED_WEIGHTS, "openvino")
    summary: ClassVar[str] = "Stores weights in 8 bits to 1, a quarter of the size or less; activations stay float32."

    technique: Literal["weight_quantization"] = "weight_quantization"
    bits: Literal[8, 4, 3, 2, 1] = Field(8, description="Of each weight; 2 and 1 where ternary and binary name none.")
    method: Method = Field("affine", description="How a weight finds its level, and where the levels lie.")
    group_size: int | None = Field(
        128,
        ge=8,
        le=65536,
        description="Neighbouring weights that share a scale; null or -1: one for each output channel. Without it 128, "
        "256 in 2 bits and 512 in 1. kmeans and mean_rounding have levels for a layer as a whole.",
    )

    @model_validator(mode="before")
    @classmethod
    def _left_open(cls, given: Any) -> Any:
        """Bits that the method has anyway, and groups whose scales don't outweigh few bits."""
        if not isinstance(given, Mapping):
            return given
        method = given.get("method")
        bits = given.get("bits", _ONLY_IN.get(method, 8) if isinstance(method, str) else 8)  # type: ignore[call-overload]
        group_size = given.get("group_size", _GROUPS.get(bits, 128) if isinstance(bits, int) else 128)
        return {**given, "bits": bits, "group_size": None if group_size == -1 else group_size}

    @model_validator(mode="after")
    def _has_so_many_bits(self) -> "WeightQuantization":
        only = _ONLY_IN.get(self.method, self.bits)
        if self.bits != only:
            raise ValueError(f"{self.method} weights have {only} bits, not {self.bits}: set `bits` to {only}")
        if self.bits == 1 and self.method in _TWO_OR_MORE:
            raise ValueError(f"{self.method} needs 2 bits or more; in 1 bit there are binary, kmeans, affine and hqq")
        return self

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        """A zero point takes as many bits as a weight does."""
        has_levels_for_all = self.method in ("kmeans", "mean_rounding")
        zero_point = 0 if self.method in ("symmetric", "ternary", "binary") else self.bits / 8

        def stored(layer: ExpectedLayer) -> ExpectedLayer:
            if not self.touches(layer):
                return layer
            values = layer.weights if has_levels_for_all else self.group_size
            scale_bytes = SCALE_BYTES * 2**self.bits if has_levels_for_all else SCALE_BYTES + zero_point
            packed = layer.stored(self.bits, scale_bytes, OPERATOR_BYTES, values)
            if layer.type in GATES:
                packed = replace(packed, float_in=_UNKNOWN_TO_NNCF)
            return packed.rounded(rounded_to_zero(self.bits)) if self.method != "binary" else packed

        return network.changed(stored)

    def held_by(self) -> tuple[OutputFormat, ...]:
        """OpenVINO has kernels for integers of 8 and 4 bits, and no place for other levels."""
        plain = self.bits in (8, 4) and self.method in ("affine", "symmetric")
        return tuple(name for name in self.formats if name != "openvino" or plain)

    def must_have_data(self) -> bool:
        return self.method == "gptq"

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return missing_matrices(facts)

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.method == "gptq" and not facts.runs:
            return "gptq has to see what each layer takes, and weights alone have no layers that run; hqq needs no data"
        if self.method == "gptq" and facts.editable != "whole":
            return "gptq has to see what each layer takes, and this model keeps its own forward; hqq needs no data"
        return None
