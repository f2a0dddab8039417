"""Landlock: which files a process may reach. Rights are only ever given up, never won back.

Numbers and structures are those of the kernel's `include/uapi/linux/landlock.h`; the same on every processor.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from worker.sandbox.kernel import system_call

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
REMOVE_FOLDER, REMOVE_FILE, MAKE_FOLDER, MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
TRUNCATE = 1 << 14
# Links, sockets, pipes, devices and moves between folders are handled below and granted nowhere. Running a program too.
READ = READ_FILE | READ_FOLDER
WRITE = WRITE_FILE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | TRUNCATE
_FILE_RIGHTS = WRITE_FILE | READ_FILE | TRUNCATE

_HANDLED_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_ALL_TCP = 0b11
_ALL_SCOPES = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    try:
        return system_call(CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """From here on this thread reaches only these paths and what is beneath them, as far as it could before.

    Denies TCP too where the kernel can (ABI 4), and signals and abstract sockets to other processes (ABI 6).
    """
    abi = version()
    handled = (1 << _HANDLED_BITS[min(abi, 5)]) - 1
    ruleset = _create(abi, handled)
    try:
        for path in readable:
            _allow(ruleset, path, READ & handled)
        for path in writable:
            _allow(ruleset, path, (READ | WRITE) & handled)
        system_call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(abi: int, handled: int) -> int:
    attributes = _Ruleset(handled, _ALL_TCP, _ALL_SCOPES)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return system_call(CREATE_RULESET, ctypes.byref(attributes), size, 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _FILE_RIGHTS
        system_call(ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_PathBeneath(rights, place)), 0)
    finally:
        os.close(place)
