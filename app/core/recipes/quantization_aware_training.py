"""Training with the rounding of int8 in the network."""

from typing import ClassVar, Literal

from pydantic import Field

from app.core.expected import ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.measurements import OutputFormat
from app.core.recipes.base import StepBase
from app.core.recipes.quantization import STATIC_LAYERS, Calibration, in_int8
from app.core.recipes.training import TrainingOptions


class QuantizationAwareTraining(TrainingOptions, StepBase):
    """Trains the weights while they and the activations are rounded to 8 bits, then writes them as int8 (Jacob et al.,
    2018).

    Learns from labels, or without them from the answers of the upload.
    """

    stage = "quantize"
    needs_data = True
    formats: ClassVar[tuple[OutputFormat, ...]] = ("onnx", "torchscript")
    summary: ClassVar[str] = "int8 weights and activations, trained to bear the rounding; with or without labels."

    technique: Literal["quantization_aware_training"] = "quantization_aware_training"
    learning_rate: float = Field(1e-4, gt=0, le=100)
    labels: Literal["auto", "true", "none"] = Field(
        "auto", description="Learn from the data set's, or from the upload's answers; auto: from labels if there are."
    )
    calibration: Calibration = Field(
        "min_max", description="How the range of an activation follows from what it was on the calibration examples."
    )
    examples: int = Field(100, ge=1, le=10_000, description="Training examples used for calibration.")
    ranges: Literal["fixed", "learned"] = Field(
        "fixed",
        description="Of activations: as calibration finds them, or learned from there on (Esser et al., 2020; onnx).",
    )

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        return in_int8(network, self)

    def held_by(self) -> tuple[OutputFormat, ...]:
        """For TorchScript torch finds ranges of its own."""
        return self.formats if self.ranges == "fixed" else ("onnx",)

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return None if facts.layer_types() & STATIC_LAYERS else "the model has no convolution and no linear layer"

    def must_have_labels(self) -> bool:
        return self.labels == "true"
