"""What a worker's sandbox was found to hold, when the worker started."""

from typing import Literal

from app.core.schemas import Schema

SandboxLevel = Literal["full", "partial", "none"]
Expected = Literal["refused", "works"]


class ActResult(Schema):
    """A child tried `act` inside the sandbox and, where it is forbidden, before that without it.

    A refusal proves something only where the act would otherwise work. `ok` when `seen` begins as expected.
    """

    act: str
    expected: Expected
    seen: str
    without_sandbox: str | None = None
    ok: bool


class SandboxReport(Schema):
    """`level` is what the kernel claims to have (full: Landlock and seccomp), `ok` and `results` what was found."""

    level: SandboxLevel
    landlock: int
    seccomp: bool
    missing: tuple[str, ...]
    ok: bool
    results: tuple[ActResult, ...]
