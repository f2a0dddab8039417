"""What a recipe of a search follows from, and who chooses it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Choices = Mapping[str, Any]
"""By name, such as `{"prune": "structured", "ratio": 0.5, …}`."""


class Chooser(Protocol):
    """A trial of Optuna."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
