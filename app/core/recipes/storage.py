"""Techniques that store weights in fewer bits, and compute with float32 as before."""

from typing import ClassVar, Literal

from pydantic import Field

from app.core.measurements import OutputFormat
from app.core.recipes.base import StepBase

HOLDING_PACKED_WEIGHTS: tuple[OutputFormat, ...] = ("onnx", "torchscript", "state_dict")


class FloatCasting(StepBase):
    """Weights are stored in 16 bits and computed with in float32. Inputs and answers stay float32."""

    stage = "quantize"
    needs_editable_graph = False
    formats: ClassVar[tuple[OutputFormat, ...]] = HOLDING_PACKED_WEIGHTS
    summary: ClassVar[str] = "Stores weights as 16-bit floats: half the size, and answers that hardly change."

    technique: Literal["float_casting"] = "float_casting"
    dtype: Literal["float16", "bfloat16"] = Field(
        "float16", description="float16 has more digits, bfloat16 the range of float32."
    )


class WeightQuantization(StepBase):
    """Weights are stored as integers, with a scale for each group of neighbours; computed with in float32.

    Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018.
    """

    stage = "quantize"
    needs_editable_graph = False
    formats: ClassVar[tuple[OutputFormat, ...]] = HOLDING_PACKED_WEIGHTS
    summary: ClassVar[str] = "Stores weights as 8-bit integers, a quarter of the size; activations stay float32."

    technique: Literal["weight_quantization"] = "weight_quantization"
    bits: Literal[8] = 8
    method: Literal["affine", "symmetric"] = Field(
        "affine", description="From the smallest to the largest weight of a group, or alike on both sides of zero."
    )
    group_size: int | None = Field(
        128, ge=8, le=65536, description="Neighbouring weights that share a scale; null: one for each output channel."
    )
