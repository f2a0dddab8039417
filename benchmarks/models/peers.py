"""What the quantizers of others make of the same TorchScript, called as their own documentation shows.

    python -m models.peers METHOD FOLDER TARGET

Nothing of this project has a part in it, but for two things: torch.ao gets the network that we rebuilt from the
archive, and so do the others where torch's exporter lacks an operator of it; and OpenVINO's two files are zipped, to be
measured alike.
"""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch.onnx.errors import UnsupportedOperatorError

EXAMPLES = 100
Feed = dict[str, np.ndarray[Any, Any]]


class Upload:
    """`model.pt` and the first training examples of `data.npz`, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive: Any = torch.jit.load(folder / "model.pt", map_location="cpu").eval()
        with np.load(folder / "data.npz") as arrays:
            examples = arrays["x_train"][:EXAMPLES]
        self.examples = examples.astype(np.float32) if examples.dtype == np.float16 else examples

    def feeds(self) -> Iterator[Feed]:
        for example in self.examples:
            yield {"x": example[None]}

    def onnx(self, target: Path) -> Path:
        try:
            self._export(self.archive, target)
        except UnsupportedOperatorError:
            self._export(self.network(), target)
        return target

    def _export(self, module: Any, target: Path) -> None:
        torch.onnx.export(
            module,
            (torch.from_numpy(self.examples[:2]),),
            target,
            dynamo=False,
            input_names=["x"],
            output_names=["output"],
            dynamic_axes={"x": {0: "batch"}, "output": {0: "batch"}},
        )

    def network(self) -> torch.fx.GraphModule:
        from app.core.inputs import InputSpec
        from worker.loading.torchscript import lift_archive, load_archive

        high = int(self.examples.max()) + 1 if self.examples.dtype.kind == "i" else None
        kind: Any = str(self.examples.dtype)
        shape = ("batch", *self.examples.shape[1:])
        inputs = InputSpec(name="x", shape=shape, dtype=kind, **({"low": 0, "high": high} if high else {}))
        return lift_archive(load_archive(self.folder / "model.pt"), (inputs,)).module


class Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, upload: Upload) -> None:
        self._feeds = upload.feeds()

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def ort_static(upload: Upload, target: Path) -> None:
    """Its defaults: QDQ, S8S8, one scale for each tensor, min-max."""
    quantize_static(_prepared(upload, target), target, Reader(upload))


def ort_static_u8s8(upload: Upload, target: Path) -> None:
    """As its documentation advises for x86 with VNNI, and for accuracy."""
    quantize_static(
        _prepared(upload, target), target, Reader(upload), per_channel=True, activation_type=QuantType.QUInt8
    )


def ort_dynamic(upload: Upload, target: Path) -> None:
    quantize_dynamic(_prepared(upload, target), target)


def ort_4bit(upload: Upload, target: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # which has every logger speak

    quantizer = MatMulNBitsQuantizer(onnx.load(_with_products(upload, target)), block_size=32, accuracy_level=4)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))


def nncf_static(upload: Upload, target: Path) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(upload.onnx(target.with_suffix(".onnx")))
    kind = nncf.ModelType.TRANSFORMER if upload.examples.dtype.kind == "i" else None
    data = nncf.Dataset(list(upload.feeds()))
    _save_openvino(nncf.quantize(model, data, subset_size=EXAMPLES, model_type=kind), target)


def nncf_weights(upload: Upload, target: Path) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(upload.onnx(target.with_suffix(".onnx")))
    _save_openvino(nncf.compress_weights(model), target)


def torch_static(upload: Upload, target: Path) -> None:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    example = (torch.from_numpy(upload.examples[:2]),)
    observed = prepare_fx(upload.network(), get_default_qconfig_mapping("x86"), example)
    for feed in upload.feeds():
        observed(torch.from_numpy(feed["x"]))
    torch.jit.save(torch.jit.trace(convert_fx(observed), example, check_trace=False), str(target))


def torch_dynamic(upload: Upload, target: Path) -> None:
    changed = torch.ao.quantization.quantize_dynamic(upload.network(), {torch.nn.Linear, torch.nn.LSTM})
    example = (torch.from_numpy(upload.examples[:1]),)
    torch.jit.save(torch.jit.trace(changed, example, check_trace=False), str(target))


METHODS: dict[str, tuple[Callable[[Upload, Path], None], str]] = {
    "ort_static": (ort_static, ".onnx"),
    "ort_static_u8s8": (ort_static_u8s8, ".onnx"),
    "ort_dynamic": (ort_dynamic, ".onnx"),
    "ort_4bit": (ort_4bit, ".onnx"),
    "nncf_static": (nncf_static, ".openvino.zip"),
    "nncf_weights": (nncf_weights, ".openvino.zip"),
    "torch_static": (torch_static, ".torchscript.pt"),
    "torch_dynamic": (torch_dynamic, ".torchscript.pt"),
}


def make(method: str, folder: Path, target: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        METHODS[method][0](Upload(folder), target)


def _prepared(upload: Upload, target: Path) -> Path:
    prepared = target.with_suffix(".prepared.onnx")
    written = upload.onnx(target.with_suffix(".float.onnx"))
    try:
        quant_pre_process(written, prepared)
    except Exception:  # its symbolic shapes know few transformers, and its documentation says how to do without
        quant_pre_process(written, prepared, skip_symbolic_shape=True)
    return prepared


def _with_products(upload: Upload, target: Path) -> Path:
    """Its 4 bits know MatMul and Gather; linear layers come as Gemm from torch's exporter."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    model = ONNXModel(onnx.load(upload.onnx(target.with_suffix(".float.onnx"))))
    model.replace_gemm_with_matmul()
    products = target.with_suffix(".products.onnx")
    model.save_model_to_file(str(products))
    return products


def _save_openvino(model: object, target: Path) -> None:
    import openvino

    xml = target.with_suffix(".xml")
    openvino.save_model(model, xml)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.write(xml, "model.xml")
        archive.write(xml.with_suffix(".bin"), "model.bin")
        archive.writestr("properties.json", json.dumps({}))
