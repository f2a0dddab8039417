"""What a child uses: memory and disk."""

import os
from pathlib import Path

_MEGABYTE = 1 << 20
_KILOBYTES_PER_MEGABYTE = 1024
_SMALLEST_FILE = 4096


def memory_mb(process: int) -> float:
    """Memory that only this process's end gives back, so without mapped files. 0 once it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    parts = (line.split() for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return sum(int(kilobytes) for _, kilobytes, *_ in parts) / _KILOBYTES_PER_MEGABYTE


def disk_mb(folder: Path) -> float:
    """Disk taken by everything beneath `folder`; an empty file counts as one block, so that many of them count."""
    return sum(_taken(Path(root) / name) for root, _, names in os.walk(folder) for name in names) / _MEGABYTE


def _taken(path: Path) -> int:
    try:
        return max(path.lstat().st_blocks * 512, _SMALLEST_FILE)
    except FileNotFoundError:
        return 0


def ended_for_memory() -> int:
    """How many processes the kernel has ended so far because memory ran out."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
