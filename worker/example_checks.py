"""Examples that nothing can be learned from: refused before anything is computed with them."""

from collections.abc import Mapping

from torch import Tensor

from app.core.errors import Invalid

INFINITE = 1e30


def check_finite(inputs: Mapping[str, Tensor]) -> None:
    for name, values in inputs.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise Invalid(
                f"The calibration examples hold NaN or infinity in {name}. Remove those examples from the training "
                "data, or use a technique that needs no data, such as dynamic_quantization.",
                code="calibration_not_finite",
                title="The calibration data can't be used",
            )


def too_large(where: str) -> Invalid:
    return Invalid(
        f"The calibration examples are too large to be computed with: {where}. Scale the training data as they were "
        "scaled when the network was trained, or use a technique that needs no data, such as dynamic_quantization.",
        code="calibration_too_large",
        title="The calibration data can't be used",
    )


class Spread:
    """Sees batches go by, whether any number in them differs from the others of its input, and how large they are."""

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._largest: dict[str, float] = {}
        self._varies = False

    def see(self, inputs: Mapping[str, Tensor]) -> None:
        for name, values in inputs.items():
            first = self._first.setdefault(name, values.flatten()[0].item())
            largest = values.abs().max().item() if values.is_floating_point() else 0.0
            self._largest[name] = max(self._largest.get(name, 0.0), largest)
            self._varies = self._varies or bool((values != first).any())

    def check(self) -> None:
        """One input of several may stand for infinity, as a mask does."""
        if min(self._largest.values()) >= INFINITE:
            raise too_large(", ".join(f"{name} goes up to {value:.1e}" for name, value in self._largest.items()))
        if not self._varies:
            shown = ", ".join(f"{name} is {value} throughout" for name, value in self._first.items())
            raise Invalid(
                f"The calibration examples are all the same: {shown}. No range of activations can follow from them. "
                "Give training examples such as the network will meet, or use a technique that needs no data, such as "
                "dynamic_quantization.",
                code="calibration_without_range",
                title="The calibration data can't be used",
            )
