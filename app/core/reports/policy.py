"""What a report's page may do: show its own styles and pictures, run its own script, and nothing else."""

import base64
import hashlib
from importlib.resources import files

_TEMPLATES = files("app.core.reports") / "templates"

COLOURS = (_TEMPLATES / "colours.css").read_text(encoding="utf-8")
SCRIPT = (_TEMPLATES / "report.js").read_text(encoding="utf-8")


def _hash_of(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


CONTENT_POLICY = (
    f"default-src 'none'; script-src 'sha256-{_hash_of(SCRIPT)}'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
