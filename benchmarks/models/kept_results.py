"""Results that a stopped benchmark doesn't measure again: one file each, named by what was sent."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any


class KeptResults:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._hashes: dict[Path, str] = {}

    def key(self, model: Path, data: Path, job: dict[str, Any]) -> str:
        content = {"model": self._hash(model), "data": self._hash(data), "job": job}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def get(self, key: str) -> dict[str, Any] | None:
        path = self._folder / f"{key}.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def keep(self, key: str, result: dict[str, Any]) -> None:
        """With the commit that made it: the key doesn't hold the service's own code, which changes daily."""
        unfinished = self._folder / f"{key}.unfinished"
        unfinished.write_text(json.dumps({"commit": _commit(), **result}, indent=1))
        unfinished.rename(self._folder / f"{key}.json")

    def _hash(self, file: Path) -> str:
        if file not in self._hashes:
            self._hashes[file] = hashlib.sha256(file.read_bytes()).hexdigest()
        return self._hashes[file]


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
