"""Where the self-test acts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path


@dataclass(frozen=True)
class Scene:
    """A job's folder, the folder around it with a secret and another job, and processes to attack."""

    around: Path
    parent: int
    port: int
    victim: int
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def job(self) -> Path:
        return self.around / "job"

    @property
    def secret(self) -> Path:
        return self.around / "secret"

    @property
    def other_job(self) -> Path:
        return self.around / "other_job"

    def new(self, folder: Path) -> Path:
        return folder / f"new_{next(self._numbers)}"


Act = Callable[[Scene], object]
