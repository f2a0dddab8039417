"""How much of the sandbox this machine can give."""

from typing import Literal

from app.core.schemas import Schema
from worker.sandbox import landlock, seccomp

_ADDED_BY_LANDLOCK = {
    3: "Landlock 3 (Linux 6.2): emptying files that may only be read",
    4: "Landlock 4 (Linux 6.7): a second wall against TCP",
    6: "Landlock 6 (Linux 6.12): a second wall against signals and abstract sockets",
}


class Level(Schema):
    """`full` is Landlock and seccomp, `partial` is one of them. `missing` says what a newer kernel would add."""

    name: Literal["full", "partial", "none"]
    landlock: int
    seccomp: bool
    missing: tuple[str, ...] = ()


def level() -> Level:
    abi, filters = landlock.version(), seccomp.available()
    walls = (abi > 0) + filters
    return Level(
        name=("none", "partial", "full")[walls],
        landlock=abi,
        seccomp=filters,
        missing=tuple(_missing(abi, filters)),
    )


def _missing(abi: int, filters: bool) -> list[str]:
    missing = [] if filters else ["seccomp: refusing system calls (Linux on x86-64 or arm64)"]
    if not abi:
        return [*missing, "Landlock (Linux 5.13, switched on in the kernel's `lsm=` list): hiding files"]
    return missing + [gain for version, gain in _ADDED_BY_LANDLOCK.items() if abi < version]
