"""Operators that treat every element alike: dimensions are lined up from the last, as in broadcasting."""

from typing import Any

from torch import Tensor, nn

from worker.structure.analysis import Call, Marked, functions, layers
from worker.structure.atoms import Marks


@layers(
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid),
    *(nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Threshold, nn.RReLU),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity),
)
@functions(
    *("add", "sub", "rsub", "mul", "div", "truediv", "pow", "neg", "abs", "exp", "log", "log1p", "expm1", "sqrt"),
    *("rsqrt", "square", "reciprocal", "sin", "cos", "erf", "sign", "floor", "ceil", "round", "clamp", "clip"),
    *("clamp_min", "clamp_max", "minimum", "maximum", "where", "lerp", "addcmul", "addcdiv", "masked_fill"),
    *("relu", "relu6", "hardtanh", "gelu", "silu", "mish", "sigmoid", "tanh", "hardswish", "hardsigmoid"),
    *("leaky_relu", "elu", "selu", "celu", "softplus", "softsign", "logsigmoid", "dropout", "logit", "fmod"),
    *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or"),
    *("and", "or", "__and__", "__or__", "bitwise_not", "invert", "isnan", "isinf", "isfinite", "remainder"),
    *("contiguous", "clone", "detach", "to", "float", "double", "half", "bool", "int", "long", "type_as", "copy"),
    *("nan_to_num", "alias", "positive", "_to_copy", "true_divide", "floor_divide"),
)
def elementwise(call: Call) -> Marked:
    operands = [node for node in call.node.all_input_nodes if isinstance(call.structure.values.get(node), Marked)]
    shape = call.answer.shape
    dims: list[Marks] = []
    for back in range(len(shape), 0, -1):
        dims.append(_lined_up(call, [call.marked_node(node) for node in operands], operands, back, shape[-back]))
    return Marked(tuple(dims))


def _lined_up(call: Call, marked: list[Marked], operands: list[Any], back: int, length: int) -> Marks:
    """The marks of the dimension that is `back` places from the end, of all operands that aren't broadcast there."""
    present = [
        one[-back]
        for one, node in zip(marked, operands, strict=True)
        if len(one) >= back and call.structure.shapes[node][-back] == length
    ]
    if not present:
        return None
    first, *others = present
    for other in others:
        first = call.join(first, other)
    return first


@layers(nn.PReLU)
def prelu(call: Call) -> Marked:
    marked = call.marked()
    if call.layer.num_parameters == 1:
        call.structure.of(call.layer.weight)
        return marked
    return marked.replaced(1, call.join(call.structure.of(call.layer.weight)[0], marked[1]))


@layers(nn.Softmax, nn.LogSoftmax, nn.Softmin)
@functions("softmax", "log_softmax", "cumsum", "flip", "roll", "sort", "cumprod")
def mixes_one_dimension(call: Call) -> Any:
    """What is said of one index depends on the others, or on their order."""
    dim = call.layer.dim if call.layer is not None else call.given(1, "dim", call.kwargs.get("dims"))
    marked = call.marked()
    if dim is None or not isinstance(call.answer, Tensor):
        return call.freeze_all()
    for one in dim if isinstance(dim, list | tuple) else (dim,):
        call.freeze(marked[one])
        marked = marked.replaced(one, None)
    return marked


@functions("zeros_like", "ones_like", "full_like", "empty_like")
def constant_like(call: Call) -> Any:
    """A new tensor of the same shape, whatever becomes of that."""
    return call.marked()


@functions("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty")
def constant(call: Call) -> Any:
    """A new tensor of given sizes, which can be changed with what it meets."""
    return Marked(tuple(call.atoms.axis(length) for length in call.answer.shape))
