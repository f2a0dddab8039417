"""Calls to the Linux kernel that Python's library doesn't offer, by ctypes."""

import ctypes
import os
import platform
from typing import Literal

Machine = Literal["x86_64", "aarch64"]

_libc = ctypes.CDLL(None, use_errno=True)


def machine() -> Machine | None:
    """The processor's family where the sandbox knows its system calls, else None."""
    name = platform.machine().lower()
    if name in ("x86_64", "amd64"):
        return "x86_64"
    return "aarch64" if name in ("aarch64", "arm64") else None


def system_call(number: int, *arguments: object) -> int:
    """Call the kernel by number. Raises OSError with the kernel's errno."""
    return _checked(_libc.syscall(number, *(_wide(argument) for argument in arguments)))


def set_process_option(option: int, value: int) -> None:
    """`prctl(option, value, 0, 0, 0)`. Raises OSError with the kernel's errno."""
    _checked(_libc.prctl(option, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0))))


def _wide(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
