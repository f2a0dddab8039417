"""What a child may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`memory_mb` without mapped files; `log_bytes` and `message_bytes` over the child's whole life. `min_free_bytes`
    are those that are to stay free on the disk, whoever fills it. `more_seconds` and `more_memory` say to whom a limit
    ended how it can be raised."""

    seconds: float
    memory_mb: int
    disk_mb: int
    log_bytes: int = 4 << 20
    message_bytes: int = 64 << 20
    min_free_bytes: int = 0
    more_seconds: str = "Raise the job's `limits.seconds`, or ask for less."
    more_memory: str = "Raise the job's `limits.memory_mb`, or use a smaller model or data set."
