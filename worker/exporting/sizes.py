"""How large a network's files are."""

from pathlib import Path
from tempfile import TemporaryDirectory

from app.core.measurements import OutputFormat
from app.core.wanted_files import SUFFIXES
from worker.exporting import export
from worker.network import Network


def written_bytes(network: Network, output: OutputFormat) -> int:
    """Of the file and those without which it can't be loaded."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"network{SUFFIXES[output]}")
        return sum(file.stat().st_size for file in (path, *export(network, output, path)))
