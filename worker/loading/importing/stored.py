"""The archive's parameters and buffers: found again by name or by memory, kept shared where they were."""

from itertools import count
from typing import Any

import torch
from torch import Tensor, fx, nn

from worker.loading.importing.values import Traced
from worker.tree import put_tensor


class StoredTensors:
    """Reads of parameters, buffers and constants, each as one `get_attr` node under its path in the archive."""

    def __init__(self, archive: torch.jit.ScriptModule, graph: fx.Graph) -> None:
        self.root = nn.Module()
        self.constants: set[str] = set()
        self._graph = graph
        self._reads: dict[str, Traced] = {}
        self._tensors, self._path_of = copied_tensors(archive)
        self._memory = {_memory(tensor) for tensor in self._tensors.values()}
        for path, tensor in self._tensors.items():
            put_tensor(self.root, path, tensor)

    def read(self, path: str) -> Traced:
        if path not in self._reads:
            node = self._graph.get_attr(path)
            node.meta["val"] = self._tensors[path].to("meta")
            self._reads[path] = Traced(node, self._tensors[path].detach())
        return self._reads[path]

    def read_tensor(self, tensor: Tensor) -> Traced:
        """A tensor that was reached through a list or that is a constant of the code."""
        content = content_of(tensor)
        if content not in self._path_of:
            names = (f"constant_{number}" for number in count())
            path = next(name for name in names if name not in self._tensors)
            self._add_constant(path, tensor.detach().clone(), content)
        return self.read(self._path_of[content])

    def _add_constant(self, path: str, tensor: Tensor, content: Any) -> None:
        self._path_of[content] = path
        self._tensors[path] = tensor
        self.constants.add(path)
        put_tensor(self.root, path, tensor)

    def knows(self, path: str) -> bool:
        return path in self._tensors

    def is_stored(self, value: Any) -> bool:
        return isinstance(value, Tensor) or (isinstance(value, Traced) and value.node.op == "get_attr")

    def shares_memory(self, tensor: Tensor) -> bool:
        return _memory(tensor) in self._memory


def copied_tensors(archive: torch.jit.ScriptModule) -> tuple[dict[str, Tensor], dict[Any, str]]:
    """Copies of parameters and buffers by path, one for each tensor however many names it has; and path by content.

    The network is edited and trained, and the archive must stay what it was. An archive's parameters are plain
    tensors: only their list tells them from buffers.
    """
    parameters = dict(archive.named_parameters(remove_duplicate=False))
    copies: dict[str, Tensor] = {}
    path_of: dict[Any, str] = {}
    for path, tensor in {**parameters, **dict(archive.named_buffers(remove_duplicate=False))}.items():
        first = path_of.setdefault(content_of(tensor), path)
        copies[path] = copies[first] if first in copies else _copied(tensor, path in parameters)
    return copies, path_of


def _copied(tensor: Tensor, is_parameter: bool) -> Tensor:
    copy = tensor.detach().clone()
    return nn.Parameter(copy, requires_grad=tensor.requires_grad) if is_parameter else copy


def content_of(tensor: Tensor) -> Any:
    """What two tensors have in common if they are one tensor with two names."""
    place = tensor.data_ptr() if tensor.numel() else id(tensor)
    return (place, tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())
