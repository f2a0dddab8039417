"""Walks a network's graph once, on a small batch, and says which indices of which parameters go together.

Every dimension of every tensor carries a mark for each of its indices, so that views, transpositions, splits and
concatenations along any dimension are followed exactly. An operator without a rule freezes all that it touches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map

from worker.structure.atoms import Atoms, Mark, Marks

Role = Literal["output", "input", "other"]


@dataclass(frozen=True)
class Marked:
    """The marks of a tensor's dimensions, in order."""

    dims: tuple[Marks, ...]

    def __getitem__(self, dim: int) -> Marks:
        return self.dims[dim]

    def __len__(self) -> int:
        return len(self.dims)

    def replaced(self, dim: int, marks: Marks) -> "Marked":
        dims = list(self.dims)
        dims[dim] = marks
        return Marked(tuple(dims))


@dataclass
class Structure:
    """What the walk found. `tensors` are parameters and buffers by identity; `values` and `shapes` are of each node's
    answer, in its structure of tuples.

    `fixed` dimensions of nodes are known beforehand to keep all their indices.

    `parts` are the marks of the groups of a grouped convolution or a group norm, by layer name. `heads` run through
    attention side by side, `hidden` units through time; each list of `cells` is of one recurrent layer, whose axes must
    stay equally long. `statistics` are marks over which a mean or the like was taken, so that what stays behind changes
    when they go. `roles` are of the dimensions of parameters that a graph reads by their name. `unfollowed` are the
    operators without a rule.
    """

    atoms: Atoms = field(default_factory=Atoms)
    fixed: set[tuple[fx.Node, int]] = field(default_factory=set)
    tensors: dict[int, Marked] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    shapes: dict[fx.Node, Any] = field(default_factory=dict)
    parts: dict[str, list[Mark]] = field(default_factory=dict)
    heads: list[Mark] = field(default_factory=list)
    hidden: list[Mark] = field(default_factory=list)
    cells: list[list[Mark]] = field(default_factory=list)
    statistics: list[Mark] = field(default_factory=list)
    roles: dict[tuple[str, int], Role] = field(default_factory=dict)
    unfollowed: set[str] = field(default_factory=set)

    def of(self, tensor: Tensor, frozen: Sequence[int] = ()) -> Marked:
        """The marks of a parameter or a buffer; new ones where it is met for the first time."""
        if id(tensor) not in self.tensors:
            lengths = enumerate(tensor.shape)
            dims = tuple(None if at in frozen else self.atoms.axis(length) for at, length in lengths)
            self.tensors[id(tensor)] = Marked(dims)
        return self.tensors[id(tensor)]


@dataclass(frozen=True)
class Call:
    """A node of the graph with what it was called with and what it answered."""

    structure: Structure
    node: fx.Node
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any
    layer: Any = None

    @property
    def atoms(self) -> Atoms:
        return self.structure.atoms

    def given(self, position: int, name: str, default: Any = None) -> Any:
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def marked(self, position: int = 0, name: str = "input") -> Marked:
        return self.marked_node(self._operand(position, name))

    def shape(self, position: int = 0, name: str = "input") -> Sequence[int]:
        shape: Sequence[int] = self.structure.shapes[self._operand(position, name)]
        return shape

    def _operand(self, position: int, name: str) -> Any:
        return self.node.args[position] if position < len(self.node.args) else self.node.kwargs[name]

    def marked_node(self, node: Any) -> Marked:
        marked = self.structure.values[node]
        assert isinstance(marked, Marked)
        return marked

    def note_weight(self, position: int, name: str, out: int, into: int) -> None:
        """Says of a parameter, or what was cut from it, which dimension makes units and which reads them."""
        weight = self.marked(position, name)
        roles: dict[Role, Marks] = {"input": weight[into], "output": weight[out]}
        for node in _parameters_of(self._operand(position, name)):
            for dim, marks in enumerate(self.marked_node(node).dims):
                for role, of_weight in roles.items():
                    if set(marks or ()) & set(of_weight or ()):
                        self.structure.roles[str(node.target), dim] = role

    def join(self, first: Marks, second: Marks) -> Marks:
        return self.atoms.joined(first, second)

    def freeze(self, *marks: Marks) -> None:
        for each in marks:
            self.atoms.freeze(each or ())

    def freeze_all(self) -> Any:
        """For what isn't known: no index of anything that it reads can go."""
        for node in self.node.all_input_nodes:
            for marked in tree_leaves(self.structure.values.get(node)):
                if isinstance(marked, Marked):
                    self.freeze(*marked.dims)
        return unmarked(self.answer)


def _parameters_of(node: Any) -> list[fx.Node]:
    """The parameters that a weight is cut from."""
    if node.op == "get_attr":
        return [node]
    return [one for operand in node.all_input_nodes for one in _parameters_of(operand)]


Rule = Callable[[Call], Any]
LAYERS: dict[type[nn.Module], Rule] = {}
FUNCTIONS: dict[str, Rule] = {}


def layers(*types: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Registers what layers of these types do to marks: the rule gives the marks of the answer."""

    def register(rule: Rule) -> Rule:
        LAYERS.update(dict.fromkeys(types, rule))
        return rule

    return register


def functions(*names: str) -> Callable[[Rule], Rule]:
    """As `layers`, for functions, methods and operators of these names, in place or not."""

    def register(rule: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        return rule

    return register


def unmarked(answer: Any) -> Any:
    return tree_map(lambda leaf: Marked((None,) * leaf.ndim) if isinstance(leaf, Tensor) else None, answer)


def function_name(node: fx.Node) -> str:
    """The same for a function, a method and an operator, whether it works in place or not."""
    if isinstance(node.target, torch._ops.OpOverload):
        name = node.target._schema.name.rpartition("::")[2]
    else:
        name = str(getattr(node.target, "__name__", node.target))
    return name if name.startswith("__") else name.rstrip("_")


class _Walk(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, structure: Structure) -> None:
        super().__init__(module)
        self.structure = structure

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        answer = super().run_node(n)
        layer = self.submodules[str(n.target)] if n.op == "call_module" else None
        call = Call(self.structure, n, args, kwargs, answer, layer)
        self.structure.values[n] = self._marked(call)
        self.structure.shapes[n] = tree_map(lambda one: one.shape if isinstance(one, Tensor) else one, answer)
        return answer

    def _marked(self, call: Call) -> Any:
        tensors = [leaf for leaf in tree_leaves(call.answer) if isinstance(leaf, Tensor)]
        if call.node.op == "placeholder" or not tensors:
            return unmarked(call.answer)
        if call.node.op == "get_attr":
            return self.structure.of(call.answer)
        if call.node.op == "output":
            return call.freeze_all()
        rule = LAYERS.get(type(call.layer)) if call.layer is not None else FUNCTIONS.get(function_name(call.node))
        try:
            return rule(call) if rule else self._unknown(call)
        except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError):
            return self._unknown(call)  # a call in a form that the rule doesn't know

    def _unknown(self, call: Call) -> Any:
        self.structure.unfollowed.add(type(call.layer).__name__ if call.layer is not None else function_name(call.node))
        if call.layer is not None:
            for tensor in (*call.layer.parameters(), *call.layer.buffers()):
                call.freeze(*self.structure.of(tensor).dims)
        return call.freeze_all()


def analyse(module: fx.GraphModule, inputs: Sequence[Tensor]) -> Structure:
    """`inputs` are a batch of at least two. The module isn't changed.

    Walked twice: what turned out to be a batch or a time only at the end would, in the walk so far, have been taken
    for something that heads might be.
    """
    import worker.structure.rules  # noqa: F401  # registers them

    first = Structure()
    with torch.no_grad():
        _Walk(module, first).run(*inputs)
        second = Structure(fixed=_frozen_dimensions(first))
        _Walk(module, second).run(*inputs)
    return second


def _frozen_dimensions(structure: Structure) -> set[tuple[fx.Node, int]]:
    return {
        (node, dim)
        for node, marked in structure.values.items()
        if isinstance(marked, Marked)
        for dim, marks in enumerate(marked.dims)
        if not any(structure.atoms.now(mark) for mark in marks or ())
    }
