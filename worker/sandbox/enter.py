"""Going into the sandbox: one way, for the whole process."""

import ctypes
import os
import resource
import signal
import site
import sys
import sysconfig
from pathlib import Path

import app
import worker
from worker.sandbox import landlock, seccomp
from worker.sandbox.kernel import set_process_option, system_call
from worker.sandbox.level import Level, level

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

_MEGABYTE = 1 << 20
_OPEN_FILES = 1024
_SYSTEM_PATHS = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/sys/devices/virtual/powercap",  # the energy that the CPU says it takes; for root alone, unless someone allowed it
    "/dev/urandom",
)


class NotAlone(RuntimeError):
    """The walls bind a thread and those it starts later, so a process with other threads can't be shut in."""


def enter(folder: Path, disk_mb: int) -> Level:
    """Shut this process in: `folder` becomes readable, `folder/outputs` writable, little else is left.

    Applies every wall that the kernel has and answers which; the caller decides whether that is enough. Raises
    `NotAlone`, or OSError when a wall that the kernel claims to have can't be put up: the process must not go on.
    """
    _be_alone()
    _limit_resources(disk_mb)
    available = level()
    if sys.platform == "linux":
        _give_up_privileges()
    if available.landlock:
        landlock.restrict([*_libraries(), folder], [folder / "outputs", Path("/dev/null")])
    if available.seccomp:
        seccomp.restrict()
    return available


def _be_alone() -> None:
    tasks = Path("/proc/self/task")
    if tasks.exists() and len(list(tasks.iterdir())) > 1:
        raise NotAlone("Threads were started before the sandbox was entered.")


def _limit_resources(disk_mb: int) -> None:
    """No limit on address space: torch maps far more than it uses. The parent watches the memory in use instead."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_FSIZE, disk_mb * _MEGABYTE)


def _lower(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (limit, limit))


def _give_up_privileges() -> None:
    _prefer_for_the_kernel_to_end()
    _drop_capabilities()
    set_process_option(_PR_SET_NO_NEW_PRIVS, 1)
    set_process_option(_PR_SET_DUMPABLE, 0)
    set_process_option(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prefer_for_the_kernel_to_end() -> None:
    """When the machine runs out of memory, the kernel ends the child, not the service."""
    Path("/proc/self/oom_score_adj").write_text("1000")


def _drop_capabilities() -> None:
    """Even where the worker runs as root, the child has none of root's powers."""
    number = _CAPSET.get(os.uname().machine)
    if number is not None:
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        system_call(number, header, (ctypes.c_uint32 * 6)())


def _libraries() -> list[Path]:
    """Where Python, the installed packages and this project's own code are; never the current folder."""
    own = {Path(package.__path__[0]) for package in (app, worker)}
    installed = {Path(path) for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())}
    packages = {Path(path) for path in site.getsitepackages()}
    return [*sorted(own | installed | packages), *(Path(path) for path in _SYSTEM_PATHS)]
