"""How to run a delivered file: three lines of Python for each format."""

from collections.abc import Sequence

from app.core.inputs import Input, InputSpec, NumberInput, tensor_inputs
from app.core.measurements import OutputFormat

_FREE_SIZE = 16


def lines_to_run(name: str, file_format: OutputFormat, inputs: Sequence[Input]) -> tuple[str, ...]:
    """Tensors are filled with zeros, a batch of one."""
    if file_format == "onnx":
        feeds = ", ".join(
            f'"{spec.name}": numpy.zeros({_shape(spec)}, "{_dtype(spec)}")' for spec in tensor_inputs(inputs)
        )
        return (
            "import numpy, onnxruntime",
            f'session = onnxruntime.InferenceSession("{name}")',
            f"answers = session.run(None, {{{feeds}}})",
        )
    given = ", ".join(_given(spec) for spec in inputs)
    imports, loading = {
        "torchscript": ("torch", f'torch.jit.load("{name}").eval()'),
        "state_dict": ("torch, load_network", f'load_network.load_network("network.json", "{name}")'),
        "exported_program": ("torch", f'torch.export.load("{name}").module()'),
    }[file_format]
    return (f"import {imports}", f"network = {loading}", f"answers = network({given})")


def needed_beside(file_format: OutputFormat) -> tuple[str, ...]:
    """The files without which those lines don't work."""
    return ("network.json", "load_network.py") if file_format == "state_dict" else ()


def needed_packages(file_format: OutputFormat) -> tuple[str, ...]:
    packages: dict[OutputFormat, tuple[str, ...]] = {
        "onnx": ("onnxruntime", "numpy"),
        "torchscript": ("torch",),
        "state_dict": ("torch", "safetensors"),
        "exported_program": ("torch",),
    }
    return packages[file_format]


def _given(spec: Input) -> str:
    if isinstance(spec, NumberInput):
        return repr(spec.value)
    return f"torch.zeros({_shape(spec)}, dtype=torch.{_dtype(spec)})"


def _dtype(spec: InputSpec) -> str:
    """Networks are written in float32 where they came in half precision, and then take that."""
    return "float32" if spec.dtype in ("float16", "bfloat16") else spec.dtype


def _shape(spec: InputSpec) -> str:
    sizes = [1, *(size if isinstance(size, int) else _free_size(spec, size) for size in spec.shape[1:])]
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _free_size(spec: InputSpec, name: str) -> int:
    smallest, largest = spec.ranges.get(name, (1, _FREE_SIZE))
    return min(max(_FREE_SIZE, smallest), largest)
