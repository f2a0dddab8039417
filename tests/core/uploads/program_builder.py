"""Programs of torch.export put together by hand: y = x * w, with a free batch."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.uploads.pickle_builder import PACKED_ONE, tensor, torch_zip
from tests.core.uploads.zip_builder import Member, zip_file

BATCH = "Symbol('s77', positive=True, integer=True)"
LEAF = {"type": None, "context": None, "children_spec": []}

Change = Callable[[dict[str, Any]], object]


def tuple_of(*children: Any) -> dict[str, Any]:
    return {"type": "builtins.tuple", "context": "null", "children_spec": list(children)}


def dict_of(**children: Any) -> dict[str, Any]:
    return {"type": "builtins.dict", "context": json.dumps(list(children)), "children_spec": list(children.values())}


def tree(spec: Any) -> str:
    return json.dumps([1, spec])


def meta(*sizes: Any, dtype: int = 7, strides: tuple[int, ...] | None = None, offset: int = 0) -> dict[str, Any]:
    given = [{"as_int": size} if isinstance(size, int) else {"as_expr": {"expr_str": size}} for size in sizes]
    steps = strides if strides is not None else (2, 1)[2 - len(sizes) :]
    return {
        "dtype": dtype,
        "sizes": given,
        "requires_grad": False,
        "device": {"type": "cpu", "index": None},
        "strides": [{"as_int": step} for step in steps],
        "storage_offset": {"as_int": offset},
        "layout": 7,
    }


def payload(**changed: Any) -> dict[str, Any]:
    return {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta(2)} | changed


def graph(size: str = BATCH, target: str = "torch.ops.aten.mul.Tensor") -> dict[str, Any]:
    def named(name: str) -> dict[str, Any]:
        return {"as_tensor": {"name": name}}

    operands = [{"name": n, "arg": named(value), "kind": 1} for n, value in (("self", "x"), ("other", "p_w"))]
    node = {"target": target, "inputs": operands, "outputs": [named("mul")], "metadata": {}, "name": "mul"}
    return {
        "inputs": [named("p_w"), named("x")],
        "outputs": [named("mul")],
        "nodes": [node],
        "tensor_values": {"p_w": meta(2), "x": meta(size, 2), "mul": meta(size, 2)},
        "sym_int_values": {},
        "sym_bool_values": {},
    }


def model(**parts: Any) -> dict[str, Any]:
    parameter = {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}}
    user = {"user_input": {"arg": {"as_tensor": {"name": "x"}}}}
    answer = {"user_output": {"arg": {"as_tensor": {"name": "mul"}}}}
    call = {
        "inputs": [],
        "outputs": [],
        "in_spec": parts.pop("in_spec", tree(tuple_of(tuple_of(LEAF), dict_of()))),
        "out_spec": parts.pop("out_spec", tree(LEAF)),
        "forward_arg_names": ["x"],
    }
    return {
        "graph_module": {
            "graph": parts.pop("graph", None) or graph(),
            "signature": {"input_specs": [parameter, user], "output_specs": [answer]},
            "module_call_graph": [{"fqn": "", "signature": call}],
        },
        "opset_version": {"aten": 10},
        "range_constraints": {"s77": {"min_val": 0, "max_val": None}},
        "schema_version": {"major": 8, "minor": 20},
        "verifiers": ["ATEN"],
        "torch_version": "2.13.0",
        "guards_code": [],
    } | parts


def changed(change: Change) -> dict[str, Any]:
    described = model()
    change(described)
    return described


def exported_program(
    described: Any = None,
    *more: Member,
    weights: Any = None,
    constants: Any = None,
    examples: bytes | None = None,
    records: Mapping[str, bytes] | None = None,
    without: str = "",
    **replaced: bytes,
) -> bytes:
    """As torch.export.save writes it. `described` may be the text of the JSON."""
    text = described if isinstance(described, bytes) else json.dumps(described or model()).encode()
    tensors = {"config": {"w": payload()} if weights is None else weights}
    parts = {
        "data/weights/model_weights_config.json": json.dumps(tensors).encode(),
        "data/constants/model_constants_config.json": json.dumps({"config": constants or {}}).encode(),
        "models/model.json": text,
        "data/sample_inputs/model.pt": torch_zip(((tensor(),), {})) if examples is None else examples,
        "archive_format": b"pt2",
        "archive_version": b"0",
        "byteorder": b"little",
        ".data/version": b"6\n",
    } | replaced
    parts |= {f"data/{name}": content for name, content in (records or {"weights/weight_0": PACKED_ONE * 2}).items()}
    return zip_file(*(Member(f"m/{name}", part) for name, part in parts.items() if name != without), *more)
