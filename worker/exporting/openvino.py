"""OpenVINO's own files (IR) in one archive, read from an ONNX file by OpenVINO itself.

`properties.json` is what the network is to be compiled with: without a precision named there, OpenVINO computes in
bfloat16 wherever the CPU can, whatever the weights are stored in.
"""

import json
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.core.version import VERSION
from worker.exporting.float_onnx import float_onnx
from worker.network import Network
from worker.openvino_extra import openvino

MODEL, WEIGHTS, PROPERTIES = "model.xml", "model.bin", "properties.json"
PRECISION = "INFERENCE_PRECISION_HINT"
_OURS = "modelpress"
# The same files give the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)
_SAMPLE_BYTES = 1 << 18


def export_openvino(network: Network, path: Path) -> tuple[Path, ...]:
    """Float weights first, then what the steps have put in `after_export`: each change reads one IR, writes another."""
    with TemporaryDirectory(dir=path.parent) as temporary:
        folder = Path(temporary)
        source = float_onnx(network)
        if network.after_export.get("openvino"):
            source = network.changed_file("openvino", write(_read(source), folder / "0.xml"), folder)
        _describe(network, _read(source), folder / MODEL)
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


def _read(source: Path) -> Any:
    return openvino().Core().read_model(source)


def _describe(network: Network, model: Any, target: Path) -> None:
    model.set_rt_info(VERSION, [_OURS, "version"])
    model.set_rt_info(json.dumps([step.model_dump(mode="json") for step in network.steps]), [_OURS, "steps"])
    noted = [_OURS, PRECISION]
    precision = model.get_rt_info(noted).astype(str) if model.has_rt_info(noted) else "f32"
    target.with_name(PROPERTIES).write_text(json.dumps({PRECISION: precision}))
    write(model, target)


def _archive(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MODEL, WEIGHTS, PROPERTIES):
            _add(archive, name, (folder / name).read_bytes())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """zipfile looks for what comes again, in vain in most weights: without that it takes a third of the time, and the
    archive is a little smaller. zipfile has no word for it; where its stream is another one day, it only takes longer.
    """
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w") as stream:
        stream._compressor = _compressor(_better_strategy(content))  # type: ignore[attr-defined]
        stream.write(content)


def _better_strategy(content: bytes) -> int:
    """Judged by the middle of it."""
    middle = content[len(content) // 2 :][:_SAMPLE_BYTES]
    return min((zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY), key=lambda strategy: len(_compressed(middle, strategy)))


def _compressed(content: bytes, strategy: int) -> bytes:
    compressor = _compressor(strategy)
    return compressor.compress(content) + compressor.flush()


def _compressor(strategy: int) -> "zlib._Compress":
    return zlib.compressobj(wbits=-zlib.MAX_WBITS, strategy=strategy)
