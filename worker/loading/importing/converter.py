"""torch's own converter, the second try for archives that the interpreter can't follow."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from worker.loading.importing.stored import content_of, copied_tensors
from worker.tree import put_tensor


def convert(archive: torch.jit.ScriptModule, example_inputs: Sequence[Tensor]) -> fx.GraphModule:
    """The archive as an aten graph whose parameters have their own names and can be trained again."""
    from torch._export.converter import TS2EPConverter  # private: imported where it is needed, lest it goes away

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the converter's own ways
        program = TS2EPConverter(archive, tuple(example_inputs)).convert()
        graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, fx.GraphModule)
    _restore_parameters(graph_module, archive)
    return graph_module


def _restore_parameters(graph_module: fx.GraphModule, archive: torch.jit.ScriptModule) -> None:
    """The converter answers buffers, some under made-up names: the archive knows which are parameters."""
    tensors, path_of = copied_tensors(archive)
    for node in graph_module.graph.find_nodes(op="get_attr"):
        node.target = path_of.get(_content(graph_module, str(node.target)), node.target)
    for path, tensor in tensors.items():
        put_tensor(graph_module, path, tensor)
    graph_module.recompile()


def _content(graph_module: fx.GraphModule, path: str) -> Any:
    tensor = _stored(graph_module, path)
    return content_of(tensor) if isinstance(tensor, Tensor) else None


def _stored(module: nn.Module, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value
