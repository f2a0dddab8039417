"""Techniques that store and compute with fewer bits."""

from typing import ClassVar, Literal

from pydantic import Field

from app.core.expected import ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.measurements import OutputFormat
from app.core.recipes.base import Pattern, StepBase

Calibration = Literal["min_max", "moving_average", "percentile", "entropy", "mse"]

STATIC_LAYERS = frozenset({"Conv1d", "Conv2d", "Conv3d", "Linear"})
BATCH_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})
DYNAMIC_LAYERS = frozenset({"Linear", "LSTM", "GRU", "RNN", "Embedding"})

# For each output a scale and a zero point, of the weights and in static quantization of the bias; and for each layer
# the operators that quantize what it reads and answers.
_DYNAMIC_SCALE_BYTES, _STATIC_SCALE_BYTES = 5, 14
_OPERATOR_BYTES = 900


def in_int8(network: ExpectedNetwork, step: StepBase) -> ExpectedNetwork:
    """Weights and activations of the layers that the step touches."""

    def stored(layer: ExpectedLayer) -> ExpectedLayer:
        if layer.type not in STATIC_LAYERS | {"Embedding"} or not step.touches(layer):
            return layer
        return layer.stored(8, _STATIC_SCALE_BYTES, _OPERATOR_BYTES)

    return network.changed(stored)


class StaticQuantization(StepBase):
    """int8 weights and activations, with ranges found on calibration data (Jacob et al., 2018): for ONNX Runtime, for
    torch's own kernels in TorchScript, and by NNCF for OpenVINO."""

    stage = "quantize"
    needs_data = True
    formats: ClassVar[tuple[OutputFormat, ...]] = ("onnx", "torchscript", "openvino")
    summary: ClassVar[str] = "int8 weights and activations; ranges come from calibration data. Best for convolutions."

    technique: Literal["static_quantization"] = "static_quantization"
    calibration: Calibration = Field(
        "min_max", description="How the range of an activation follows from what it was on the calibration examples."
    )
    examples: int = Field(100, ge=1, le=10_000, description="Training examples used for calibration.")
    per_channel: bool = Field(True, description="One scale for each output channel of the weights, not one for all.")
    scheme: Literal["u8s8", "s8s8"] = Field("u8s8", description="Types of activations and of weights.")
    keep_float: tuple[Pattern, ...] | Literal["auto", "first"] = Field(
        (),
        description="Layers that stay in float32; `auto` finds those that 8 bits hurt most, `first` leaves those that "
        "read the inputs.",
    )
    smooth: bool = Field(False, description="SmoothQuant: moves large channels of layer norms into the weights.")
    bias_correction: bool = Field(False, description="Takes the mean shift of rounded weights back by the biases.")
    rounding: Literal["nearest", "adaround"] = Field(
        "nearest", description="`adaround` rounds weights up or down by what the layer's output loses."
    )
    equalize: bool = Field(
        False,
        description="Makes the ranges of channels alike: of weights, where all have one scale (cross-layer "
        "equalization), and per channel of what depthwise convolutions read.",
    )

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        kept = self.keep_float if isinstance(self.keep_float, tuple) else ()
        if self.keep_float == "first":
            kept = tuple(layer.name for layer in network.layers if layer.type in STATIC_LAYERS)[:1]
        stored = in_int8(network, self.model_copy(update={"exclude": (*self.exclude, *kept)}))
        return stored.guessing("which layers `auto` keeps in float32; none") if self.keep_float == "auto" else stored

    def needs_data_because(self, facts: ModelFacts | None) -> str | None:
        if facts is None or any(layer.type in BATCH_NORMS for layer in facts.layers):
            return None
        return (
            "it finds ranges on examples, and this model has no batch norms, from whose statistics examples could be "
            "made up; dynamic_quantization and weight_quantization need none"
        )

    def held_by(self) -> tuple[OutputFormat, ...]:
        return tuple(name for name in self.formats if name != "openvino" or self._is_known_to_nncf())

    def _is_known_to_nncf(self) -> bool:
        """Which quantizes for OpenVINO, where activations are of either sign as they need to be."""
        as_usual = (self.scheme, self.rounding, self.equalize) == ("u8s8", "nearest", False)
        return as_usual and self.calibration != "entropy" and isinstance(self.keep_float, tuple)

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return None if facts.layer_types() & STATIC_LAYERS else "the model has no convolution and no linear layer"


class DynamicQuantization(StepBase):
    """int8 weights; the ranges of activations are found during each call, by ONNX Runtime or by torch."""

    stage = "quantize"
    formats: ClassVar[tuple[OutputFormat, ...]] = ("onnx", "torchscript")
    summary: ClassVar[str] = "int8 weights, activations quantized on the fly. Best for linear and LSTM layers."

    technique: Literal["dynamic_quantization"] = "dynamic_quantization"
    per_channel: bool = True

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        def stored(layer: ExpectedLayer) -> ExpectedLayer:
            if layer.type not in DYNAMIC_LAYERS or not self.touches(layer):
                return layer
            return layer.stored(8, _DYNAMIC_SCALE_BYTES, _OPERATOR_BYTES / 2)

        return network.changed(stored)

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return None if facts.layer_types() & DYNAMIC_LAYERS else "the model has no linear, recurrent or embedding layer"
