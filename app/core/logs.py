"""What a job's children printed, one text file a job, through all of its attempts."""

from pathlib import Path


class Logs:
    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def append(self, job_id: str, data: bytes) -> None:
        with self.path(job_id).open("ab") as file:
            file.write(data)

    def read(self, job_id: str) -> bytes:
        """Empty where the job printed nothing yet."""
        path = self.path(job_id)
        return path.read_bytes() if path.exists() else b""

    def delete(self, job_id: str) -> None:
        self.path(job_id).unlink(missing_ok=True)

    def path(self, job_id: str) -> Path:
        return self._root / f"{job_id}.txt"
