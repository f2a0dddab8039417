"""Packed weights in an archive: wherever its code reads one, it unpacks it.

`__setstate__` could unpack once, when the archive is loaded; but that is code that runs in whoever loads it, and is
refused in uploads for that reason.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from worker.archives.kept import FLAT_WEIGHTS
from worker.packing.packed import Codebook, Float8, Grouped, Packed, is_in_bits

_BYTE, _LONG, _FLOAT = 0, 4, 6  # TorchScript's numbers of uint8, int64 and float32
_NEUTRAL = {"scale": torch.ones(1), "zero_point": torch.zeros(1, dtype=torch.uint8)}


def pack_archive(path: Path, packed: Mapping[str, Packed]) -> None:
    """Rewrites the file. `packed` by the archive's names of parameters."""
    archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    modules, reads = _modules(archive), _reads(archive)
    kinds = _storable(modules, reads, packed)
    for name, module in modules.items():
        _store(module, name, packed, kinds)
    for graph, node in reads:
        if _place(node) in kinds:
            _Unpacking(graph, node).write(kinds[_place(node)])
    torch.jit.save(archive, str(path))


def stored_packed(archive: Any, packed: Mapping[str, Packed]) -> set[str]:
    """Those names of `packed` that `pack_archive` would store so: the archive's code can't unpack the others."""
    modules = _modules(archive)
    kinds = _storable(modules, _reads(archive), packed)
    return {path for path in packed if _kind_at(modules, path) in kinds}


def _modules(archive: Any) -> dict[str, Any]:
    return {name: one for name, one in archive.named_modules() if not one._c.hasattr(FLAT_WEIGHTS)}


def _reads(archive: Any) -> list[tuple[Any, Any]]:
    return [(graph, node) for graph in _graphs(archive) for node in graph.findAllNodes("prim::GetAttr")]


def _storable(
    modules: Mapping[str, Any], reads: Sequence[tuple[Any, Any]], packed: Mapping[str, Packed]
) -> dict[tuple[str, str], Packed]:
    kinds = _kinds(modules, packed)
    for _, node in reads:
        if str(node.output().type()) != "Tensor":  # such as a bias that may be None
            kinds.pop(_place(node), None)
    unlike = _not_alike(modules, packed, kinds)
    return {place: one for place, one in kinds.items() if place not in unlike}


def _place(read: Any) -> tuple[str, str]:
    return str(read.inputsAt(0).type()), str(read.s("name"))


def _kinds(modules: Mapping[str, Any], packed: Mapping[str, Packed]) -> dict[tuple[str, str], Packed]:
    """An example of what is packed, by the type of the module and the name there: modules of one type share code."""
    places = ((_kind_at(modules, path), one) for path, one in packed.items())
    return {place: one for place, one in places if place is not None}


def _kind_at(modules: Mapping[str, Any], path: str) -> tuple[str, str] | None:
    owner, _, name = path.rpartition(".")
    return (str(modules[owner]._c._type()), name) if owner in modules else None


def _not_alike(
    modules: Mapping[str, Any], packed: Mapping[str, Packed], kinds: Mapping[tuple[str, str], Packed]
) -> set[tuple[str, str]]:
    """Where code that unpacks bits would run over weights that aren't packed so: those stay in float32."""
    forms = defaultdict(set)
    for path, module in modules.items():
        for kind, name in kinds:
            if kind == str(module._c._type()):
                one = packed.get(f"{path}.{name}".lstrip("."))
                forms[kind, name].add(_form(one) if one is not None and _must_be_alike(one) else None)
    return {place for place, found in forms.items() if len(found) > 1}


def _must_be_alike(packed: Packed) -> bool:
    """Code that reads it can't read a plain weight as well."""
    return is_in_bits(packed) or isinstance(packed, Float8)


def _form(packed: Packed) -> tuple[Any, ...]:
    return packed.kind, len(packed.stored()), tuple(packed.beside())


def _store(module: Any, path: str, packed: Mapping[str, Packed], kinds: Mapping[tuple[str, str], Packed]) -> None:
    """Of one type all have the attributes that the code reads; where nothing is packed they change nothing."""
    for (kind, name), example in kinds.items():
        if kind != str(module._c._type()):
            continue
        mine = packed.get(f"{path}.{name}".lstrip("."))
        if mine is not None:
            module._c.setattr(name, nn.Parameter(mine.stored(), requires_grad=False))
        for beside in example.beside():
            value = mine.beside()[beside] if mine is not None else _NEUTRAL[beside]
            if beside == "shape":
                _store_shape(module, name, value.tolist())
            else:
                module._c._register_attribute(f"{name}_{beside}", torch._C.TensorType.get(), value)


def _store_shape(module: Any, name: str, shape: list[int]) -> None:
    module._c._register_attribute(f"{name}_shape", torch._C.ListType.ofInts(), shape)
    module._c._register_attribute(f"{name}_values", torch._C.IntType.get(), prod(shape))


def _graphs(archive: Any) -> Iterator[Any]:
    """Each once: modules of one type share them."""
    methods: dict[str, Any] = defaultdict(list)
    for _, module in archive.named_modules():
        methods[str(module._c._type())] = [module._c._get_method(name) for name in module._c._method_names()]
    for of_type in methods.values():
        for method in of_type:
            yield method.graph


class _Unpacking:
    """Written behind one read of a packed weight; whatever read that reads the unpacked one."""

    def __init__(self, graph: Any, read: Any) -> None:
        self._graph = graph
        self._read = self._last = read

    def write(self, example: Packed) -> None:
        stored = self._read.output()
        codes = self._whole(stored, len(example.stored())) if is_in_bits(example) else stored
        if isinstance(example, Codebook):
            values = self._levels(codes)
        elif isinstance(example, Float8):
            values = self._scaled(codes, self._levels(codes))
        else:
            values = self._call("aten::to", codes, _FLOAT, False, False, None)
        if isinstance(example, Grouped):
            values = self._grouped(codes, values, example)
        stored.replaceAllUsesAfterNodeWith(self._last, values)

    def _whole(self, rows: Any, bits: int) -> Any:
        """One code after another from a row for each of their bits."""
        shifts = self._call("aten::arange", 8, _BYTE, None, None, None)
        each = self._call("aten::unsqueeze", rows, -1)
        each = self._call("aten::bitwise_and", self._call("aten::bitwise_right_shift", each, shifts), 1)
        each = self._call("aten::reshape", each, self._list(self._constant(bits), self._constant(-1)))
        codes = self._call("aten::select", each, 0, 0)
        for place in range(1, bits):
            codes = self._call("aten::add", codes, self._call("aten::select", each, 0, place), 2**place)
        codes = self._call("aten::narrow", codes, 0, 0, self._beside("values", torch._C.IntType.get()))
        return self._call("aten::reshape", codes, self._beside("shape", torch._C.ListType.ofInts()))

    def _levels(self, codes: Any) -> Any:
        numbers = self._call("aten::to", self._call("aten::flatten", codes, 0, -1), _LONG, False, False, None)
        values = self._call("aten::index_select", self._beside("levels"), 0, numbers)
        return self._call("aten::reshape_as", values, codes)

    def _scaled(self, codes: Any, values: Any) -> Any:
        """Each row, or group of neighbours, by its scale."""
        groups = self._call("aten::numel", self._beside("scale"))
        values = self._call("aten::reshape", values, self._list(groups, self._constant(-1)))
        return self._call("aten::reshape_as", self._call("aten::mul", values, self._column("scale")), codes)

    def _grouped(self, codes: Any, values: Any, example: Grouped) -> Any:
        scale = self._column("scale")
        groups = self._call("aten::numel", self._beside("scale"))
        values = self._call("aten::reshape", values, self._list(groups, self._constant(-1)))
        if example.zero_point is not None:
            values = self._call("aten::sub", values, self._column("zero_point"), 1)
        values = self._call("aten::mul", values, scale)
        return self._call("aten::reshape_as", values, codes)

    def _column(self, name: str) -> Any:
        return self._call("aten::unsqueeze", self._call("aten::to", self._beside(name), _FLOAT, False, False, None), 1)

    def _beside(self, name: str, kind: Any = None) -> Any:
        node = self._graph.create("prim::GetAttr", [self._read.inputsAt(0)], 1)
        node.s_("name", f"{self._read.s('name')}_{name}")
        return self._placed(node, kind or torch._C.TensorType.get())

    def _call(self, operator: str, *arguments: Any) -> Any:
        values = [one if isinstance(one, torch._C.Value) else self._constant(one) for one in arguments]
        kind = torch._C.IntType.get() if operator == "aten::numel" else torch._C.TensorType.get()
        return self._placed(self._graph.create(operator, values, 1), kind)

    def _list(self, *numbers: Any) -> Any:
        node = self._graph.create("prim::ListConstruct", list(numbers), 1)
        return self._placed(node, torch._C.ListType.ofInts())

    def _constant(self, value: int | bool | None) -> Any:
        node = self._graph.create("prim::Constant", 1)
        if value is None:
            return self._placed(node, torch._C.NoneType.get())
        node.i_("value", int(value))
        return self._placed(node, torch._C.BoolType.get() if isinstance(value, bool) else torch._C.IntType.get())

    def _placed(self, node: Any, kind: Any) -> Any:
        node.insertAfter(self._last)
        node.output().setType(kind)
        self._last = node
        return node.output()
