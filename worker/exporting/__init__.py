"""An editable network -> files. One module for each format."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import Problem
from app.core.facts import EVERY_FORMAT
from app.core.measurements import OutputFormat
from app.core.storage import is_no_space_left
from worker.exporting.exported_program import export_exported_program
from worker.exporting.onnx import export_onnx
from worker.exporting.openvino import export_openvino
from worker.exporting.state_dict import export_state_dict
from worker.exporting.torchscript import export_torchscript
from worker.network import Network

NOT_WRITABLE = "export_failed"
Exporter = Callable[[Network, Path], tuple[Path, ...]]

EXPORTERS: dict[OutputFormat, Exporter] = {
    "onnx": export_onnx,
    "torchscript": export_torchscript,
    "state_dict": export_state_dict,
    "exported_program": export_exported_program,
    "openvino": export_openvino,
}


def formats_of(network: Network) -> tuple[OutputFormat, ...]:
    """What keeps an archive's own forward is that archive with other tensors in it; weights without a network are a
    state dict again."""
    if not network.runs:
        return ("state_dict",)
    return ("torchscript",) if network.keeps_its_forward else EVERY_FORMAT


def export(network: Network, output_format: OutputFormat, path: Path) -> tuple[Path, ...]:
    """Writes `path` and returns the files that belong beside it."""
    formats = formats_of(network)
    if output_format not in formats:
        raise Problem(
            f"The model can't be written as {output_format}. Ask for one of: {', '.join(formats)}.",
            code="output_unavailable",
            title="The model can't be written in this format",
        )
    with not_writable(f"The network can't be written as {output_format}", "Ask for another format in `outputs`."):
        return EXPORTERS[output_format](network, path)


@contextmanager
def not_writable(what: str, instead: str) -> Iterator[None]:
    """Says what an exporter or a runtime has stopped at, which raise anything."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        if is_no_space_left(error):  # which is no fault of the format
            raise
        raise Problem(
            f"{what}: {_reason(error)}. {instead}", code=NOT_WRITABLE, title="A file can't be written"
        ) from error


def _reason(error: Exception) -> str:
    """Of what an exporter says, only the operator's name is for our reader."""
    named = re.search(r"operator '([\w:.]{1,80})'", str(error))
    if named:
        return f"its operator {named[1]} has no counterpart there"
    without_kernel = re.search(r"implementation for (\w{1,80})\(", str(error))
    if without_kernel:
        return f"ONNX Runtime can't compute its operator {without_kernel[1]} for values of this type"
    return "one of its operators has no counterpart there, or the file would be larger than the format allows"
