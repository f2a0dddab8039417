"""Examples that nothing can be learned from: refused before anything is computed with them."""

from collections.abc import Mapping

from torch import Tensor

from app.core.errors import Invalid


def check_finite(inputs: Mapping[str, Tensor]) -> None:
    for name, values in inputs.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise Invalid(
                f"The calibration examples hold NaN or infinity in {name}. Remove those examples from the training "
                "data, or use a technique that needs no data, such as dynamic_quantization.",
                code="calibration_not_finite",
                title="The calibration data can't be used",
            )


class Spread:
    """Sees batches go by, and whether any number in them differs from the others of its input."""

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._varies = False

    def see(self, inputs: Mapping[str, Tensor]) -> None:
        for name, values in inputs.items():
            first = self._first.setdefault(name, values.flatten()[0].item())
            self._varies = self._varies or bool((values != first).any())

    def check(self) -> None:
        if not self._varies:
            shown = ", ".join(f"{name} is {value} throughout" for name, value in self._first.items())
            raise Invalid(
                f"The calibration examples are all the same: {shown}. No range of activations can follow from them. "
                "Give training examples such as the network will meet, or use a technique that needs no data, such as "
                "dynamic_quantization.",
                code="calibration_without_range",
                title="The calibration data can't be used",
            )
