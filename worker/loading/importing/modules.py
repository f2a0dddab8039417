"""Reading the archive's modules and the objects of scripted classes."""

from typing import Any

import torch
from torch import Tensor

from worker.loading.importing.instruction import Instruction, computes, refuses, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.values import LocalObject, Submodule, mapped
from worker.loading.unsupported import Unsupported

QUANTIZED = "the file computes with packed int8 weights; upload the network as it was before quantization."
STATEFUL = (
    "the network changes itself when it runs; give its state in and out as inputs and outputs, "
    "or save it in evaluation mode."
)


@runs("prim::GetAttr")
def get_attribute(interpreter: Interpreter, instruction: Instruction) -> Any:
    owner, name = instruction.inputs[0], instruction.attribute()
    if isinstance(owner, LocalObject):
        return owner.attributes[name]
    assert isinstance(owner, Submodule)
    if name == "training":
        return False
    if owner.child(name) in interpreter.attributes:
        return interpreter.attributes[owner.child(name)]
    if interpreter.stored.knows(owner.child(name)):
        return interpreter.stored.read(owner.child(name))
    return _plain_attribute(owner, name, getattr(owner.module, name))


def _plain_attribute(owner: Submodule, name: str, value: Any) -> Any:
    if isinstance(value, torch.jit.ScriptModule):
        return Submodule(owner.child(name), value)
    if isinstance(value, torch.ScriptObject):
        raise Unsupported("prim::GetAttr", owner.child(name), QUANTIZED)
    return mapped(value, lambda one: one.detach() if isinstance(one, Tensor) else one)


@runs("prim::SetAttr")
def set_attribute(interpreter: Interpreter, instruction: Instruction) -> None:
    owner, value = instruction.inputs
    if isinstance(owner, LocalObject):
        owner.attributes[instruction.attribute()] = value
        return
    path = owner.child(instruction.attribute())
    interpreter.refuse(Unsupported("prim::SetAttr", path, STATEFUL))
    interpreter.attributes[path] = value


@computes("prim::CreateObject")
def create_object() -> LocalObject:
    return LocalObject()


refuses(
    "prim::CallMethod",
    "prim::CallFunction",
    "prim::PythonOp",
    "prim::fork",
    advice="the call isn't part of the file's own graph; call the module directly, without an interface or a fork.",
)
refuses("aten::quantize_per_tensor", "aten::quantize_per_tensor_dynamic", advice=QUANTIZED)
