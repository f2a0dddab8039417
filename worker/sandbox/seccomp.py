"""seccomp: which system calls a process may make, as a filter in classic BPF.

A refused call fails with EPERM and the process goes on. Files are Landlock's part: here stand the calls that Landlock
doesn't see (owners, modes, times and attributes of files), processes, signals, sockets and the kernel's own doors.
"""

import ctypes
import errno
import os

from worker.sandbox.kernel import Machine, machine, set_process_option
from worker.sandbox.system_calls import LAST_KNOWN, REFUSED, number_of

_PR_SET_SECCOMP, _FILTER_MODE = 22, 2
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _AND = 0x20, 0x54
_EQUAL, _GREATER = 0x15, 0x25
_RETURN = 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_FAIL = 0x00050000

_THREAD = 0x00010000  # CLONE_THREAD
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


def available() -> bool:
    """Whether the kernel can filter and this processor's calls are known."""
    try:
        set_process_option(_PR_SET_SECCOMP, _FILTER_MODE)
    except OSError as error:
        # The kernel looks at the (missing) program only when it can filter at all.
        return error.errno == errno.EFAULT and machine() is not None
    return False


def restrict() -> None:
    """Filter this thread's calls, and those of the threads it will start. Needs no_new_privs."""
    processor = machine()
    assert processor is not None
    lines = _program(processor)
    program = _Program(len(lines), (_Instruction * len(lines))(*lines))
    _install(program)


def _install(program: _Program) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _program(processor: Machine) -> list[_Instruction]:
    own = os.getpid()
    lines = [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT),
        _Instruction(_EQUAL, 1, 0, _ARCHITECTURE[processor]),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
        # Calls newer than this list, and on x86-64 the whole x32 table, whose numbers start at 2^30.
        _Instruction(_GREATER, 0, 1, LAST_KNOWN),
        _Instruction(_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    # The C library then falls back to clone, whose flags a filter can see.
    lines += _on(processor, "clone3", [_Instruction(_RETURN, 0, 0, _FAIL | errno.ENOSYS)])
    lines += _on(processor, "clone", _only_if_first_argument(_THREAD, mask=_THREAD | _NAMESPACES))
    for call in ("kill", "tgkill"):
        lines += _on(processor, call, _only_if_first_argument(own))
    lines += _on(processor, "prlimit64", _only_if_first_argument(0))
    # A hint, which ONNX Runtime gives for each of its threads: for another thread than the caller it seems to succeed.
    lines += _on(processor, "sched_setaffinity", _only_if_first_argument(0, otherwise=_FAIL))
    for name in REFUSED:
        lines += _on(processor, name, [_Instruction(_RETURN, 0, 0, _FAIL | errno.EPERM)])
    return [*lines, _Instruction(_RETURN, 0, 0, _ALLOW)]


def _on(processor: Machine, name: str, block: list[_Instruction]) -> list[_Instruction]:
    number = number_of(name, processor)
    return [] if number is None else [_Instruction(_EQUAL, 0, len(block), number), *block]


def _only_if_first_argument(
    value: int, mask: int = 0xFFFFFFFF, otherwise: int = _FAIL | errno.EPERM
) -> list[_Instruction]:
    """Allow when the low half of the first argument, masked, is `value`: the kernel too takes these as 32 bits."""
    return [
        _Instruction(_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        _Instruction(_AND, 0, 0, mask),
        _Instruction(_EQUAL, 0, 1, value),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, otherwise),
    ]
