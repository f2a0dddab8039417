"""What a network is expected to be after steps that haven't run: a few numbers for each layer, worked out from facts.

A step says in its own file what it does to them, by `StepBase.expected`. Numbers are floats until they are shown.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from app.core.facts import VECTORS, LayerFacts, ModelFacts
from app.core.measurements import OutputFormat

CONVOLUTIONS = frozenset({"Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"})
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FLOAT_BITS = 32


@dataclass(frozen=True)
class ExpectedLayer:
    """`weights` are the parameters with two dimensions and more, `vectors` the others, such as biases.

    `width` is how many channels it answers, `activations` how many numbers for one example. A weight has `bits`, and
    `beside` are the bytes of all scales and of what computes with them. A layer may have become several `pieces`.
    In the formats `float_in` its weights stay in float32, whatever its bits.
    """

    name: str
    type: str
    width: int
    weights: float
    vectors: float
    macs: float
    activations: float
    nonzero: float
    bits: float = FLOAT_BITS
    vector_bits: float = FLOAT_BITS
    beside: float = 0.0
    pieces: int = 1
    float_in: frozenset[OutputFormat] = frozenset()

    @classmethod
    def of(cls, facts: LayerFacts) -> "ExpectedLayer":
        weights = _weights(facts)
        return cls(
            name=facts.name,
            type=facts.type,
            width=_width(facts),
            weights=weights,
            vectors=facts.parameters - weights,
            macs=facts.macs or 0,
            activations=prod(facts.output_shape or (0,)),
            nonzero=weights,
        )

    @property
    def parameters(self) -> float:
        return self.weights + self.vectors

    @property
    def rows(self) -> float:
        """Of its weights. A recurrent layer has two biases for each, and several for each output."""
        return self.vectors / 2 if self.type in GATES and self.vectors else self.width

    @property
    def size_bytes(self) -> float:
        """Of all values, those that are zero too."""
        return (self.weights * self.bits + self.vectors * self.vector_bits) / 8 + self.beside

    def written_in(self, output: OutputFormat) -> "ExpectedLayer":
        return replace(self, bits=FLOAT_BITS, beside=0.0) if output in self.float_in else self

    def times(self, weights: float, outputs: float = 1.0) -> "ExpectedLayer":
        """With so large a part of its weights, and of its outputs."""
        return replace(
            self,
            width=round(self.width * outputs),
            weights=self.weights * weights,
            vectors=self.vectors * outputs,
            macs=self.macs * weights,
            activations=self.activations * outputs,
            nonzero=self.nonzero * weights,
        )

    def stored(self, bits: float, scale_bytes: float, beside: float, of_values: float | None = None) -> "ExpectedLayer":
        """Its weights in `bits`, with a scale for so many values or for each row. What has few bits already keeps
        them."""
        if self.bits < FLOAT_BITS or not self.weights:
            return self
        scales = self.weights / of_values if of_values else self.rows
        return replace(self, bits=bits, beside=scales * scale_bytes + beside)

    def rounded(self, zeros: float) -> "ExpectedLayer":
        """With so large a part of the weights that are left rounded to zero."""
        return replace(self, nonzero=self.nonzero * (1 - zeros))


@dataclass(frozen=True)
class ExpectedNetwork:
    """`guesses` are what no fact could tell."""

    layers: tuple[ExpectedLayer, ...]
    guesses: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: ModelFacts) -> "ExpectedNetwork":
        """What belongs to no layer, such as learned positions, is a layer without a name."""
        layers = [ExpectedLayer.of(layer) for layer in facts.layers]
        rest = max(0.0, facts.parameters - sum(layer.parameters for layer in layers))
        macs = max(0.0, (facts.macs or 0) - sum(layer.macs for layer in layers))
        if rest or macs:
            layers.append(ExpectedLayer("", "", 0, 0.0, rest, macs, 0.0, 0.0))
        return cls(tuple(layers))

    @property
    def parameters(self) -> float:
        return sum(layer.parameters for layer in self.layers)

    @property
    def nonzero(self) -> float:
        return sum(layer.nonzero + layer.vectors for layer in self.layers)

    @property
    def macs(self) -> float:
        return sum(layer.macs for layer in self.layers)

    @property
    def activations(self) -> float:
        return sum(layer.activations for layer in self.layers)

    @property
    def size_bytes(self) -> float:
        return sum(layer.size_bytes for layer in self.layers)

    @property
    def pieces(self) -> int:
        return sum(layer.pieces for layer in self.layers)

    def changed(self, change: Callable[[ExpectedLayer], ExpectedLayer]) -> "ExpectedNetwork":
        return replace(self, layers=tuple(map(change, self.layers)))

    def guessing(self, what: str) -> "ExpectedNetwork":
        return replace(self, guesses=(*self.guesses, what))


def _weights(facts: LayerFacts) -> int:
    """Each is used once at every position that a layer answers for, which its multiply-accumulates tell."""
    if facts.macs and facts.output_shape:
        return min(facts.parameters, round(facts.macs * _width(facts) / prod(facts.output_shape)))
    return 0 if "Norm" in facts.type or facts.type in (VECTORS, "PReLU") else facts.parameters


def _width(facts: LayerFacts) -> int:
    if not facts.output_shape:
        return 0
    is_convolution = facts.type in CONVOLUTIONS or facts.type.startswith("BatchNorm")
    return facts.output_shape[1 if is_convolution and len(facts.output_shape) > 1 else -1]
