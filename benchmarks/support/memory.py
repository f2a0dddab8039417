"""What a process holds of memory, from Linux."""

from pathlib import Path


def memory_mb(pid: int | str, field: str = "VmRSS") -> float:
    """`VmRSS` is what it holds now, `VmHWM` the most that it ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)
