"""What a network takes: as its owner says, else as the data set shows, else as the file recorded, else guessed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from app.core.errors import Invalid
from app.core.facts import ArrayFacts
from app.core.inputs import InputDtype, Inputs, InputsFrom, InputSpec, NumberInput, tensor_inputs
from app.core.job_files import ModelFile
from app.core.uploads.traced_inputs import read_traced_inputs
from worker.architectures.by_name import ByName
from worker.archives.state import state_kept
from worker.arrays import Array
from worker.data import ONLY_INPUT, Dataset
from worker.data_fit import fits_inputs
from worker.inputs import random_inputs, with_numbers
from worker.loading.exported_programs import ProgramNetwork
from worker.loading.numbers import arguments_of, is_number, with_guessed_numbers
from worker.network import tensors_in

IMAGE_SIZES = (224, 32, 28, 64, 96, 128, 48, 160, 192, 256, 299, 384)
SEQUENCE_SIZES = (16, 32, 128, 1024, 16000)
_INTEGER_KINDS = "iu"


def resolve_inputs(
    model: ModelFile, module: nn.Module, dataset: Dataset | None, recorded: Inputs | None = None
) -> tuple[Inputs, InputsFrom]:
    """The inputs that `module` was seen to run on, with the batch free, and where they are known from.

    `recorded` are those that the file was traced with: the first guess.
    """
    if model.inputs is not None and not _guess_in_vain(model, dataset):
        check_forward(module, model.inputs)
        return model.inputs, model.inputs_from or "given"
    if isinstance(module, ProgramNetwork):
        check_forward(module, module.inputs)
        return module.inputs, "given"
    names = _argument_names(module)
    if dataset is not None:
        found = with_guessed_numbers(module, _from_dataset(dataset, names, module))
        return _first_that_runs(module, chain(found, (model.inputs,) if model.inputs else ())), "dataset"
    first = (recorded,) if recorded else ()
    guesses = with_guessed_numbers(module, chain(first, _guesses(module, names)))
    return _first_that_runs(module, guesses), "guessed"


def _guess_in_vain(model: ModelFile, dataset: Dataset | None) -> bool:
    """What inspection guessed can run, and yet be of another shape than the examples that came later."""
    if model.inputs is None or model.inputs_from != "guessed" or dataset is None:
        return False
    return not fits_inputs(tensor_inputs(model.inputs), dataset)


def recorded_inputs(path: Path, module: nn.Module) -> Inputs | None:
    """What the archive at `path` was traced with, the batch free; None where no record tells that."""
    recorded, names = read_traced_inputs(path), _argument_names(module)
    if recorded is None or len(recorded) != len(names) or not all(one.shape for one in recorded):
        return None
    try:
        return tuple(_recorded_spec(name, one, module) for name, one in zip(names, recorded, strict=True))
    except ValidationError:  # a type or a size that no input has
        return None


def _recorded_spec(name: str, recorded: ArrayFacts, module: nn.Module) -> InputSpec:
    integers = {"low": 0, "high": _vocabulary(module)} if recorded.dtype.startswith("int") else {}
    spec = {"name": name, "shape": ("batch", *recorded.shape[1:]), "dtype": recorded.dtype, **integers}
    return InputSpec.model_validate(spec)


def _first_that_runs(module: nn.Module, candidates: Iterator[Inputs]) -> Inputs:
    last: Invalid | None = None
    for inputs in candidates:
        try:
            check_forward(module, inputs)
        except Invalid as problem:
            last = problem
        else:
            return inputs
    raise last or _forward_failed("Nothing in the file tells what the network takes.")


def check_forward(module: nn.Module, inputs: Inputs) -> None:
    """Runs the network on random inputs with batches of two and three."""
    tensors = tensor_inputs(inputs)
    if not tensors:
        raise _forward_failed("It is given plain numbers only, and no tensor.")
    if not all(isinstance(spec.shape[0], str) for spec in tensors):
        raise _forward_failed('The first dimension of every input is the batch: write it as "batch".')
    if isinstance(module, ByName):
        module.take([spec.name for spec in inputs])
    for batch_size, free_size in ((2, 16), (3, 17)):
        _check_outputs(_run(module, inputs, batch_size, free_size), batch_size)


def _run(module: nn.Module, inputs: Inputs, batch_size: int, free_size: int) -> tuple[Tensor, ...]:
    tensors = tensor_inputs(inputs)
    examples = random_inputs(tensors, batch_size, seed=0, free_size=free_size)
    try:
        with torch.inference_mode(), state_kept(module):
            outputs = module(*with_numbers(inputs, examples))
    except Exception as error:
        shapes = [f"{spec.name} {list(e.shape)} {spec.dtype}" for spec, e in zip(tensors, examples, strict=True)]
        numbers = [f"{spec.name} {spec.value}" for spec in inputs if isinstance(spec, NumberInput)]
        raise _forward_failed(f"The network fails on {', '.join(shapes + numbers)}.") from error
    return tensors_in(outputs)


def _check_outputs(outputs: Sequence[Tensor], batch_size: int) -> None:
    if not all(torch.isfinite(output).all() for output in outputs if output.is_floating_point()):
        raise Invalid(
            "The network answers random inputs with values that are not finite (NaN or infinity). Check its weights, "
            "and give `inputs` with `low` and `high` if it only takes certain integers.",
            code="outputs_not_finite",
            title="The network's answers are not finite",
        )
    if not outputs[0].shape or outputs[0].shape[0] != batch_size:
        raise _forward_failed(
            f"For a batch of {batch_size} its first output has the shape {list(outputs[0].shape)}; one row for each "
            "example is needed."
        )


def _forward_failed(what: str) -> Invalid:
    return Invalid(
        f"{what} Say what the network takes in `inputs`, for example "
        '[{"name": "x", "shape": ["batch", 3, 224, 224], "dtype": "float32"}], and check that it runs on any batch.',
        code="forward_failed",
        title="The network can't be run",
    )


def _argument_names(module: nn.Module) -> tuple[str, ...]:
    """Of tensors."""
    if isinstance(module, ByName):
        return module.argument_names
    if isinstance(module, torch.jit.ScriptModule):
        return tuple(argument.name for argument in arguments_of(module) if not is_number(argument))
    return ("x",)


def _from_dataset(dataset: Dataset, names: Sequence[str], module: nn.Module) -> Iterator[Inputs]:
    """The arrays as stored; where they are integers, also as float32 (pixels of 0..255, say)."""
    arrays = dataset.train.inputs
    named = {names[0]: arrays[ONLY_INPUT]} if set(arrays) == {ONLY_INPUT} and names else dict(arrays)
    ordered = {name: named[name] for name in names if name in named} or named
    for dtypes in product(*(_dtypes(array) for array in ordered.values())):
        yield tuple(
            _spec_of(name, array, dtype, _high_of(name, module))
            for (name, array), dtype in zip(ordered.items(), dtypes, strict=True)
        )


def _high_of(name: str, module: nn.Module) -> int | None:
    if not isinstance(module, ByName):
        return _vocabulary(module)
    return next((spec.high for guess in module.guesses for spec in guess if spec.name == name), None)


def _dtypes(array: Array) -> tuple[InputDtype, ...]:
    if array.dtype.kind == "f":
        return ("float32", "float64")
    return ("bool",) if array.dtype.kind == "b" else ("int64", "int32", "float32")


def _spec_of(name: str, array: Array, dtype: InputDtype, high: int | None) -> InputSpec:
    shape: tuple[int | str, ...] = ("batch", *array.shape[1:])
    if array.dtype.kind not in _INTEGER_KINDS or not dtype.startswith("int"):
        return InputSpec(name=name, shape=shape, dtype=dtype)
    values = array[slice(None)]
    return InputSpec(name=name, shape=shape, dtype=dtype, low=int(values.min()), high=high or int(values.max()) + 1)


def _guesses(module: nn.Module, names: Sequence[str]) -> Iterator[Inputs]:
    """What the config says, or shapes that the first layer with weights could take if there is one input only."""
    if isinstance(module, ByName):
        yield from module.guesses
        return
    first = next(((n, p) for n, p in module.named_parameters() if p.ndim >= 2), None)
    if len(names) != 1 or first is None:
        return
    path, weight = first
    if _vocabulary(module) and path.rpartition(".")[0] in _embeddings(module):
        yield (InputSpec(name=names[0], shape=("batch", 16), dtype="int64", low=0, high=_vocabulary(module)),)
        return
    for shape in _shapes(path, tuple(weight.shape)):
        yield (InputSpec(name=names[0], shape=("batch", *shape)),)


def _shapes(path: str, weight: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """`weight` is (out, in, *kernel) of a convolution, (out, in) of a linear or recurrent layer."""
    features = weight[1]
    if len(weight) == 2:
        yield from ((16, features),) if "weight_ih" in path else ((features,), (16, features))
    elif len(weight) == 3:
        yield from ((features, length) for length in SEQUENCE_SIZES)
    elif len(weight) == 4:
        yield from ((features, size, size) for size in IMAGE_SIZES)
    else:
        yield from ((features, size, size, size) for size in (32, 16, 64))


def _vocabulary(module: nn.Module) -> int | None:
    """How many different values the first embedding takes."""
    return next(iter(_embeddings(module).values()), None)


def _embeddings(module: nn.Module) -> Mapping[str, int]:
    return {
        name: int(layer.weight.shape[0])
        for name, layer in module.named_modules()
        if getattr(layer, "original_name", type(layer).__name__) == "Embedding"
    }
