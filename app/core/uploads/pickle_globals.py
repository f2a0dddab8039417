"""The allow list: which names a pickle may use, and what a call of each one describes.

Nothing here runs anything: a function takes the descriptions of its arguments and gives a description back.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from app.core.uploads import dtypes
from app.core.uploads.dtypes import Dtype
from app.core.uploads.pickle_values import Class, Ignored, Instance, Storage, StorageType, Tensor, UnsupportedTensor
from app.core.uploads.refusals import refusal
from app.core.uploads.tensors import described_tensor

Arguments = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Function:
    name: str
    describe: Callable[[Arguments], object]


_REBUILDS_A_TENSOR = tuple(f"torch._utils._rebuild_{name}" for name in ("tensor_v2", "tensor_v3", "parameter"))


def _arguments_differ(name: str) -> Exception:
    return refusal("malformed_pickle", f"The pickle calls {name} with arguments that torch.save never writes.")


def _rebuild_tensor(arguments: Arguments) -> object:
    match arguments:
        case (Storage() as storage, offset, shape, strides):
            return described_tensor(storage, storage.dtype, offset, shape, strides)
    raise _arguments_differ("_rebuild_tensor")


def _rebuild_tensor_v2(arguments: Arguments) -> object:
    """torch before 1.0 wrote None where there were no hooks."""
    match arguments:
        case (storage, offset, shape, strides, bool(), dict() | None):
            return _rebuild_tensor((storage, offset, shape, strides))
        case (storage, offset, shape, strides, bool(), dict(), None | dict() as view):
            plain = _rebuild_tensor((storage, offset, shape, strides))
            return UnsupportedTensor("conjugated or negated view") if view else plain
    raise _arguments_differ("_rebuild_tensor_v2")


def _rebuild_tensor_v3(arguments: Arguments) -> object:
    match arguments:
        case (Storage() as storage, offset, shape, strides, bool(), dict(), Dtype() as dtype, *_):
            return described_tensor(storage, dtype, offset, shape, strides)
    raise _arguments_differ("_rebuild_tensor_v3")


def _rebuild_parameter(arguments: Arguments) -> object:
    match arguments:
        case (Tensor() | UnsupportedTensor() as tensor, bool(), *_):
            return tensor
    raise _arguments_differ("_rebuild_parameter")


def _rebuild_from_type(arguments: Arguments) -> object:
    match arguments:
        case (Function(name=name, describe=describe), Class(), tuple() as inner, *_) if name in _REBUILDS_A_TENSOR:
            return describe(inner)
    raise _arguments_differ("_rebuild_from_type_v2")


def _unsupported(kind: str) -> Callable[[Arguments], object]:
    return lambda _: UnsupportedTensor(kind)


def _empty_dict(arguments: Arguments) -> object:
    match arguments:
        case ():
            return {}
        case (list(pairs),) if all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            return {pair[0]: pair[1] for pair in pairs if isinstance(pair[0], str)}
    raise _arguments_differ("OrderedDict")


def _first(arguments: Arguments) -> object:
    return arguments[0] if arguments else ()


def _ignored(_: Arguments) -> object:
    return Ignored()


_FUNCTIONS: dict[str, Callable[[Arguments], object]] = {
    "collections.OrderedDict": _empty_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch._utils._rebuild_qtensor": _unsupported("quantized"),
    "torch._utils._rebuild_sparse_tensor": _unsupported("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": _unsupported("sparse"),
    "torch._utils._rebuild_nested_tensor": _unsupported("nested"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unsupported("meta"),
    "torch._utils._rebuild_device_tensor_from_numpy": _unsupported("other device's"),
    "torch._utils._rebuild_wrapper_subclass": _unsupported("subclassed"),
    "torch.Size": _first,
    # What checkpoints hold beside the weights; described as nothing, so that it can't do anything.
    "torch.device": _ignored,
    "torch.serialization._get_layout": _ignored,
    "collections.defaultdict": _ignored,
    "collections.Counter": _ignored,
    "argparse.Namespace": _ignored,
    "numpy.dtype": _ignored,
    "numpy.core.multiarray.scalar": _ignored,
    "numpy._core.multiarray.scalar": _ignored,
    "_codecs.encode": _ignored,
}
_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.Parameter", "torch.nn.parameter.Buffer")
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
_VALUES = (
    "torch.per_tensor_affine",
    "torch.per_channel_affine",
    "torch.strided",
    "builtins.dict",
    "builtins.list",
    "builtins.int",
)


def state_dict_global(module: str, name: str) -> object | None:
    """What a global stands for in a pickled state dict; None when it is not allowed."""
    full = f"{module}.{name}"
    if full in _FUNCTIONS:
        return Function(full, _FUNCTIONS[full])
    if module in _STORAGE_MODULES and name in dtypes.BY_STORAGE:
        return StorageType(dtypes.BY_STORAGE[name])
    if module == "torch" and name in dtypes.BY_NAME:
        return dtypes.BY_NAME[name]
    if full in _CLASSES:
        return Class(full)
    return Ignored() if full in _VALUES else None


_SCRIPT_FUNCTIONS: dict[str, Callable[[Arguments], object]] = {
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
}
_SCRIPT_CLASS = re.compile(r"__torch__(\.[A-Za-z_][A-Za-z0-9_]*)*")
_BOUND_CLASSES = ("__torch__.torch.classes.quantized.", "__torch__.torch.classes.rnn.")


def torchscript_global(module: str, name: str) -> object | None:
    """As `state_dict_global`, for the pickles of a TorchScript archive: the classes that its own code declares, too."""
    full = f"{module}.{name}"
    if full in _SCRIPT_FUNCTIONS:
        return Function(full, _SCRIPT_FUNCTIONS[full])
    if full.startswith("__torch__.torch.classes.") and not full.startswith(_BOUND_CLASSES):
        return None
    if _SCRIPT_CLASS.fullmatch(full):
        return Function(full, lambda arguments: Instance(full, arguments))
    return state_dict_global(module, name)
