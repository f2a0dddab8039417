"""How large a file is expected to be: its values, and what its format says around them."""

from dataclasses import dataclass
from math import log2

from app.core.expected import FLOAT_BITS, ExpectedLayer, ExpectedNetwork
from app.core.measurements import OutputFormat


@dataclass(frozen=True)
class Overhead:
    """Bytes beside the values, in all and for each layer: the graph, names, code."""

    in_all: int
    each_layer: int


# As files of small networks, of three to forty layers, were found to be; OpenVINO's are estimates.
OVERHEADS: dict[OutputFormat, Overhead] = {
    "onnx": Overhead(200, 150),
    "torchscript": Overhead(3_000, 2_400),
    "state_dict": Overhead(10_000, 900),
    "exported_program": Overhead(1_000, 3_300),
    "openvino": Overhead(4_000, 1_500),
}
# What zlib was found to leave of packed weights.
DEFLATED = 0.93
# A batch norm becomes a part of the convolution before it, of which only a bias is new.
FOLDING: frozenset[OutputFormat] = frozenset({"onnx", "openvino"})


def size_in(network: ExpectedNetwork, output: OutputFormat) -> int:
    values = sum(_values_in(layer.written_in(output), output) for layer in network.layers)
    overhead = OVERHEADS[output]
    return round(values + overhead.in_all + overhead.each_layer * network.pieces)


def _values_in(layer: ExpectedLayer, output: OutputFormat) -> float:
    if output == "state_dict":
        return _deflated(layer)
    folded = output in FOLDING and layer.type.startswith("BatchNorm")
    return layer.size_bytes / 2 if folded else layer.size_bytes


def _deflated(layer: ExpectedLayer) -> float:
    """What is packed is deflated. Zeros among floats are left out where that is less: one bit says for each place
    whether there is a value, and bits that are nearly all alike become fewer."""
    if layer.bits < FLOAT_BITS:
        return layer.size_bytes * DEFLATED
    nonzero = layer.nonzero / layer.weights if layer.weights else 1.0
    sparse = layer.weights * (nonzero * FLOAT_BITS * DEFLATED + _entropy(nonzero)) / 8
    return layer.size_bytes - max(0.0, layer.weights * FLOAT_BITS / 8 - sparse) if nonzero < 1 else layer.size_bytes


def _entropy(part: float) -> float:
    """Bits for each yes or no of which `part` are yes."""
    return -sum(share * log2(share) for share in (part, 1 - part) if share > 0)
