"""How to run a delivered file: three lines of Python for each format."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.inputs import Input, InputSpec, NumberInput, tensor_inputs
from app.core.measurements import OutputFormat, QuantizedEngine

_FREE_SIZE = 16


@dataclass(frozen=True)
class Session:
    """What is run on a dictionary of arrays by their names, and not called with tensors: expressions that give the
    names of its inputs, and its answers to `{feeds}`."""

    names: str
    run: str


@dataclass(frozen=True)
class Way:
    """`load` is an expression with the file's name for `{file}`, which gives a network or a `session`. `beside` are
    the files without which it can't be loaded; in both, `{prefix}` is what stands before their names."""

    imports: tuple[str, ...]
    load: str
    packages: tuple[str, ...]
    beside: tuple[str, ...] = ()
    session: Session | None = None


WAYS: dict[OutputFormat, Way] = {
    "onnx": Way(
        ("numpy", "onnxruntime"),
        'onnxruntime.InferenceSession("{file}")',
        ("onnxruntime", "numpy"),
        session=Session("[each.name for each in session.get_inputs()]", "session.run(None, {feeds})"),
    ),
    "torchscript": Way(("torch",), 'torch.jit.load("{file}").eval()', ("torch",)),
    "state_dict": Way(
        ("torch", "load_network"),
        'load_network.load_network("{prefix}network.json", "{file}")',
        ("torch", "safetensors"),
        beside=("{prefix}network.json", "load_network.py"),
    ),
    "exported_program": Way(("torch",), 'torch.export.load("{file}").module()', ("torch",)),
    "openvino": Way(
        ("json", "numpy", "openvino", "zipfile"),
        'openvino.compile_model(openvino.Core().read_model((files := zipfile.ZipFile("{file}")).read("model.xml"), '
        'files.read("model.bin")), "CPU", json.loads(files.read("properties.json")))',
        ("numpy", "openvino"),
        session=Session("[each.any_name for each in session.inputs]", "[*session({feeds}).values()]"),
    ),
}


def lines_to_run(
    name: str, file_format: OutputFormat, inputs: Sequence[Input], engine: QuantizedEngine | None = None
) -> tuple[str, ...]:
    """Tensors are filled with zeros, a batch of one. What takes no inputs is weights without their network."""
    if not inputs and file_format == "state_dict":
        return _lines_for_weights(name)
    way = WAYS[file_format]
    imports, loaded = f"import {', '.join(way.imports)}", loading(name, file_format)
    if way.session:
        feeds = ", ".join(
            f'"{spec.name}": numpy.zeros({_shape(spec)}, "{_dtype(spec)}")' for spec in tensor_inputs(inputs)
        )
        return (imports, f"session = {loaded}", f"answers = {way.session.run.format(feeds=f'{{{feeds}}}')}")
    given = ", ".join(_given(spec) for spec in inputs)
    return (imports, *setting(engine), f"network = {loaded}", f"answers = network({given})")


def _lines_for_weights(name: str) -> tuple[str, ...]:
    return (
        "from load_network import load_state_dict",
        f'weights = load_state_dict("{_prefix(name)}network.json", "{name}")',
        "network.load_state_dict(weights)  # `network` is your own, which these are the weights of",
    )


def loading(name: str, file_format: OutputFormat) -> str:
    return WAYS[file_format].load.format(file=name, prefix=_prefix(name))


def setting(engine: QuantizedEngine | None) -> tuple[str, ...]:
    """What has to come before loading: torch lays int8 weights out for one of its engines then."""
    return () if engine is None else (f'torch.backends.quantized.engine = "{engine}"',)


def needed_beside(name: str, file_format: OutputFormat) -> tuple[str, ...]:
    """The files without which those lines don't work."""
    return tuple(each.format(prefix=_prefix(name)) for each in WAYS[file_format].beside)


def needed_packages(file_format: OutputFormat) -> tuple[str, ...]:
    return WAYS[file_format].packages


def _prefix(name: str) -> str:
    """Files beside `model.safetensors` have plain names; beside another one they bear its own."""
    stem = name.rpartition(".")[0]
    return "" if stem == "model" else f"{stem}."


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
