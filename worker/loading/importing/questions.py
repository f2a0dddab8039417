"""What a program asks about a tensor or its surroundings, answered without writing anything."""

from typing import Any

import torch

from worker.loading.importing.instruction import Instruction, computes, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.values import ELEMENT_TYPES, examples, is_tensor

STRIDED = 0  # TorchScript's number for it


@runs("aten::size", "prim::shape")
def size(interpreter: Interpreter, instruction: Instruction) -> Any:
    tensor, *dimension = instruction.inputs
    if dimension:
        return interpreter.size(tensor, examples(dimension[0]), instruction.scope)
    return [interpreter.size(tensor, one, instruction.scope) for one in range(examples(tensor).dim())]


@runs("aten::numel")
def numel(interpreter: Interpreter, instruction: Instruction) -> Any:
    return interpreter.write(torch.ops.aten.sym_numel.default, instruction.inputs, {}, instruction.scope)


@runs("aten::dim", "aten::is_floating_point", "aten::is_complex", "aten::stride", "aten::is_contiguous")
def ask_tensor(_interpreter: Interpreter, instruction: Instruction) -> Any:
    tensor, *arguments = (examples(one) for one in instruction.inputs)
    if not is_tensor(instruction.inputs[0]):  # a number that a trace wrapped
        return {"aten::dim": 0, "aten::is_floating_point": isinstance(tensor, float)}.get(instruction.kind, False)
    answer = getattr(tensor, instruction.kind.removeprefix("aten::"))(*arguments)
    return list(answer) if isinstance(answer, tuple) else answer


@computes("prim::dtype")
def element_type(value: Any) -> int:
    example = examples(value)
    if isinstance(example, torch.Tensor):
        return ELEMENT_TYPES.index(example.dtype)
    return ELEMENT_TYPES.index(torch.int64 if isinstance(example, int) else torch.float32)


@computes("prim::device")
def device(_tensor: Any) -> torch.device:
    return torch.device("cpu")


@computes("prim::type")
def type_of_device(place: torch.device) -> str:
    return place.type


@computes("prim::layout")
def layout(_tensor: Any) -> int:
    return STRIDED


@computes("aten::is_grad_enabled", "prim::requires_grad", "aten::is_scripting")
def yes(*_inputs: Any) -> bool:
    """The network is to be trained: it must not take the shortcuts that can't be."""
    return True


@computes("aten::is_autocast_enabled", "aten::is_autocast_cpu_enabled", "aten::is_tracing")
@computes("prim::is_nested", "prim::is_cuda", "prim::is_quantized", "prim::is_sparse", "prim::is_mkldnn")
@computes("prim::is_meta", "prim::is_xpu", "prim::is_mps", "prim::is_sparse_csr", "prim::is_vulkan", "prim::is_xla")
def no(*_inputs: Any) -> bool:
    """An uploaded network runs on dense tensors on the CPU."""
    return False
