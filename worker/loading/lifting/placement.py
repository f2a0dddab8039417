"""Where each layer stands in the network's tree.

A layer goes where its tensors were, if they are all that was there. Else, and for a layer without tensors, it gets a
name of its own beside them or in the scope that called it. No layer ever stands inside another one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from torch import Tensor, fx, nn

from worker.loading.lifting.call import operator_name
from worker.loading.lifting.layer import Layer


class Placement:
    """Gives every layer of a plan its path; layers that share everything share one module."""

    def __init__(self, stored: Mapping[str, Tensor], layers: Mapping[fx.Node, Layer]) -> None:
        self.paths: dict[fx.Node, str] = {}
        self.modules: dict[str, Layer] = {}
        self._stored = stored
        self._owners: dict[int, set[str]] = defaultdict(set)
        for path, tensor in stored.items():
            self._owners[id(tensor)].add(path.rpartition(".")[0])
        self._inner = {ancestor for path in stored for ancestor in _ancestors(path)}
        self._shared: dict[tuple[object, ...], str] = {}
        for node in sorted(layers, key=lambda node: self._turn(layers[node])):
            self.paths[node] = self._place(node, layers[node])

    def _turn(self, layer: Layer) -> int:
        """Layers that go home first, then those that need a new name, those without tensors last."""
        if not layer.owned:
            return 2
        return 0 if self._home(layer) else 1

    def _place(self, node: fx.Node, layer: Layer) -> str:
        key = self._identity(layer)
        if layer.owned and key in self._shared:
            return self._shared[key]
        home = self._home(layer)
        path = home if home and home not in self.modules else self._new_path(node, layer)
        self._shared[key] = path
        self.modules[path] = layer
        self._inner.update(_ancestors(path))
        return path

    def _identity(self, layer: Layer) -> tuple[object, ...]:
        tensors = ((name, id(self._stored[path])) for name, path in sorted(layer.owned.items()))
        return (type(layer.module), repr(layer.module), *tensors)

    def _home(self, layer: Layer) -> str | None:
        """The place whose tensors are the layer's, by name and nothing besides; the fullest if there are several."""
        mine = {name: self._stored[path] for name, path in layer.owned.items()}
        fitting: dict[str, int] = {}
        owners = {owner for tensor in mine.values() for owner in self._owners[id(tensor)]}
        for owner in owners - {""}:
            there = self._tensors_in(owner)
            there.pop("num_batches_tracked", None)
            if there and all(mine.get(name) is tensor for name, tensor in there.items()):
                fitting[owner] = len(there) - (owner in self.modules)
        return max(sorted(fitting), key=fitting.__getitem__, default=None)

    def _tensors_in(self, owner: str) -> dict[str, Tensor]:
        prefix = f"{owner}."
        return {path.removeprefix(prefix): one for path, one in self._stored.items() if path.startswith(prefix)}

    def _new_path(self, node: fx.Node, layer: Layer) -> str:
        scope, name = scope_of(node), operator_name(node).removeprefix("aten::").strip("_")
        if layer.owned:
            scope, name = _beside(next(iter(layer.owned.values())), name)
        elif scope and (not self._is_taken(scope) or self._has_no_tensors(scope)):
            return self._numbered(scope)
        while scope and self._is_layer_or_inside_one(scope):
            scope, _, last = scope.rpartition(".")
            name = f"{last}_{name}"
        return self._numbered(f"{scope}.{name}" if scope else name)

    def _has_no_tensors(self, path: str) -> bool:
        return path in self.modules and not self.modules[path].owned

    def _numbered(self, path: str) -> str:
        number, candidate = 0, path
        while self._is_taken(candidate):
            number += 1
            candidate = f"{path}_{number}"
        return candidate

    def _is_taken(self, path: str) -> bool:
        is_reserved = not path.isascii() or hasattr(nn.Module, path.rpartition(".")[2])
        is_used = path in self._inner or path in self._stored
        return is_reserved or is_used or self._is_layer_or_inside_one(path)

    def _is_layer_or_inside_one(self, path: str) -> bool:
        return path in self.modules or any(ancestor in self.modules for ancestor in _ancestors(path))


def scope_of(node: fx.Node) -> str:
    """The path of the module whose forward made this call."""
    if "scope" in node.meta:
        return str(node.meta["scope"])
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    path = str(stack[-1]).partition("@")[0] if stack else ""
    return "" if path.startswith("_empty") else path


def _beside(tensor: str, operator: str) -> tuple[str, str]:
    """Scope and name for a layer whose first tensor is `tensor`: `attention.in_proj_weight` -> `in_proj`."""
    owner, _, name = tensor.rpartition(".")
    stem = name.replace("weight", "").strip("_")
    return owner, stem or operator


def _ancestors(path: str) -> Iterable[str]:
    while "." in path:
        path = path.rpartition(".")[0]
        yield path
