"""OpenVINO's own files (IR) in one archive, read from an ONNX file by OpenVINO itself.

`properties.json` is what the network is to be compiled with: without a precision named there, OpenVINO computes in
bfloat16 wherever the CPU can, whatever the weights are stored in.
"""

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from app.core.version import VERSION
from worker.exporting.float_onnx import float_onnx
from worker.network import Network
from worker.openvino_extra import openvino

MODEL, WEIGHTS, PROPERTIES = "model.xml", "model.bin", "properties.json"
PRECISION = "INFERENCE_PRECISION_HINT"
_OURS = "modelpress"
# The same files give the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)


def export_openvino(network: Network, path: Path) -> tuple[Path, ...]:
    """Float weights first, then what the steps have put in `after_export`: each change reads one IR, writes another."""
    with TemporaryDirectory(dir=path.parent) as temporary:
        folder = Path(temporary)
        source = write(openvino().Core().read_model(float_onnx(network)), folder / "0.xml")
        _describe(network, network.changed_file("openvino", source, folder), folder / MODEL)
        _archive(folder, path)
    return ()


def read(path: Path) -> object:
    """An `openvino.Model` that no longer needs the file, so that another may be written in its place."""
    return openvino().Core().read_model(path.read_bytes(), path.with_suffix(".bin").read_bytes())


def write(model: object, path: Path) -> Path:
    openvino().save_model(model, path, compress_to_fp16=False)
    return path


def compute_in(model: object, precision: str) -> None:
    """In which type a network is computed isn't of its graph: it is noted down for `properties.json`."""
    model.set_rt_info(precision, [_OURS, PRECISION])  # type: ignore[attr-defined]


def _describe(network: Network, source: Path, target: Path) -> None:
    model = openvino().Core().read_model(source)
    model.set_rt_info(VERSION, [_OURS, "version"])
    model.set_rt_info(json.dumps([step.model_dump(mode="json") for step in network.steps]), [_OURS, "steps"])
    noted = [_OURS, PRECISION]
    precision = model.get_rt_info(noted).astype(str) if model.has_rt_info(noted) else "f32"
    target.with_name(PROPERTIES).write_text(json.dumps({PRECISION: precision}))
    write(model, target)


def _archive(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MODEL, WEIGHTS, PROPERTIES):
            archive.writestr(zipfile.ZipInfo(name, _DATE), (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
