"""Linear layers, as one operator or as the products that older traces hold."""

from typing import Any

from torch import fx, nn

from worker.loading.lifting.call import Call, operator_name
from worker.loading.lifting.layer import Layer, lifts

TRANSPOSES = ("aten::t", "aten::transpose", "aten::permute", "aten::numpy_T")
PRODUCTS = ("aten::matmul", "aten::mm")


@lifts("linear")
def linear(call: Call) -> Layer | None:
    return _linear(call, call["input"], call["weight"], call["bias"])


@lifts("addmm")
def product_with_bias(call: Call) -> Layer | None:
    """`addmm(bias, x, weight.t())`, as torch wrote nn.Linear before 1.7."""
    if (call["beta"], call["alpha"]) != (1, 1) or call["self"] is None:
        return None
    return _linear(call, call["mat1"], _untransposed(call, call["mat2"]), call["self"])


@lifts("matmul", "mm")
def product(call: Call) -> Layer | None:
    inputs, weight = list(call.arguments.values())[:2]
    return _linear(call, inputs, _untransposed(call, weight), None)


@lifts("add")
def product_plus_bias(call: Call) -> Layer | None:
    """`matmul(x, weight.t()) + bias`, in either order."""
    if "alpha" not in call or call["alpha"] != 1:
        return None
    for summand, bias in ((call["self"], call["other"]), (call["other"], call["self"])):
        if _is_product(summand) and call.is_stored(bias):
            product_call = call.to(summand)
            inputs, weight = list(product_call.arguments.values())[:2]
            return _linear(call, inputs, _untransposed(call, weight), bias, absorbs=(summand,))
    return None


def _linear(call: Call, inputs: Any, weight: Any, bias: Any, absorbs: tuple[fx.Node, ...] = ()) -> Layer | None:
    if not (call.is_stored(weight) and call.are_stored(bias)):
        return None
    shape = call.stored(weight).shape
    if len(shape) != 2 or (bias is not None and call.stored(bias).shape != shape[:1]):
        return None
    module = nn.Linear(shape[1], shape[0], bias=bias is not None, device="meta")
    return Layer(module, (inputs,), {"weight": weight, "bias": bias}, absorbs)


def _untransposed(call: Call, product: Any) -> Any:
    """The matrix behind a transposition of a stored matrix, else None."""
    if not isinstance(product, fx.Node) or operator_name(product) not in TRANSPOSES:
        return None
    matrix = product.args[0]
    return matrix if call.is_stored(matrix) and call.stored(matrix).dim() == 2 else None


def _is_product(node: Any) -> bool:
    return isinstance(node, fx.Node) and operator_name(node) in PRODUCTS and len(node.users) == 1
