"""torch's own converter, the second try for archives that the interpreter can't follow."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

Content = tuple[Any, ...]


def convert(archive: torch.jit.ScriptModule, example_inputs: Sequence[Tensor]) -> fx.GraphModule:
    """The archive as an aten graph whose parameters have their own names and can be trained again."""
    from torch._export.converter import TS2EPConverter  # private: imported where it is needed, lest it goes away

    program = TS2EPConverter(archive, tuple(example_inputs)).convert()
    graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, fx.GraphModule)
    _restore_parameters(graph_module, archive)
    return graph_module


def _restore_parameters(graph_module: fx.GraphModule, archive: torch.jit.ScriptModule) -> None:
    """The converter answers buffers, some under made-up names: the archive knows which are parameters."""
    originals = {_content(tensor): (path, tensor) for path, tensor in _named_tensors(archive)}
    for node in graph_module.graph.find_nodes(op="get_attr"):
        original = originals.get(_content(_stored(graph_module, str(node.target))))
        if original is not None:
            node.target = original[0]
    for path, tensor in _named_tensors(archive):
        _attach(graph_module, path, tensor)
    graph_module.recompile()


def _named_tensors(archive: torch.jit.ScriptModule) -> list[tuple[str, Tensor]]:
    return [*archive.named_parameters(), *archive.named_buffers()]


def _content(tensor: Any) -> Content:
    if not isinstance(tensor, Tensor):
        return ()
    return (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)


def _stored(module: nn.Module, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _attach(root: nn.Module, path: str, tensor: Tensor) -> None:
    *owners, name = path.split(".")
    module = root
    for owner in owners:
        if owner not in module._modules:
            module.add_module(owner, nn.Module())
        module = module.get_submodule(owner)
    if isinstance(module._parameters.get(name), nn.Parameter):
        return
    module._buffers.pop(name, None)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, nn.Parameter(tensor.detach(), requires_grad=tensor.requires_grad))
    else:
        module.register_buffer(name, tensor)
