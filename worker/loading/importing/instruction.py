"""One TorchScript instruction, and the table of what each kind of instruction does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from worker.loading.unsupported import Unsupported

if TYPE_CHECKING:
    from worker.loading.importing.interpreter import Interpreter


class Instruction:
    """A node of a TorchScript graph with the values of its inputs."""

    def __init__(self, node: Any, inputs: list[Any], scope: str) -> None:
        self.node = node
        self.kind: str = node.kind()
        self.inputs = inputs
        self.scope = scope

    @property
    def blocks(self) -> list[Any]:
        return list(self.node.blocks())

    def answer(self, outputs: list[Any]) -> Any:
        """What a handler answers for these outputs: a single one stands for itself."""
        return outputs[0] if self.node.outputsSize() == 1 else outputs

    def attribute(self) -> str:
        """The name in `prim::GetAttr[name="weight"]`."""
        return str(self.node.s("name"))

    def overload(self) -> torch._ops.OpOverload | None:
        """The operator of torch that this calls; None if it exists in TorchScript alone."""
        text = self.node.schema()
        if text == "(no schema)":
            return None
        schema = torch._C.parse_schema(text)
        namespace, _, name = schema.name.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        overload = getattr(packet, schema.overload_name or "default", None)
        return overload if isinstance(overload, torch._ops.OpOverload) else None

    def named_inputs(self) -> dict[str, Any]:
        schema = torch._C.parse_schema(self.node.schema())
        return dict(zip((one.name for one in schema.arguments), self.inputs, strict=False))


Handler = Callable[["Interpreter", Instruction], Any]
handlers: dict[str, Handler] = {}


def runs(*kinds: str) -> Callable[[Handler], Handler]:
    """Registers what `kinds`, such as `prim::If`, do. The answer is the output's value, or a list for several."""

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            assert kind not in handlers, kind
            handlers[kind] = handler
        return handler

    return register


def computes(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a plain function of the inputs' values, which writes nothing."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def handler(_interpreter: "Interpreter", instruction: Instruction) -> Any:
            return function(*instruction.inputs)

        runs(*kinds)(handler)
        return function

    return register


def refuses(*kinds: str, advice: str) -> None:
    """Registers what can't be part of an editable network."""

    def handler(_interpreter: "Interpreter", instruction: Instruction) -> None:
        raise Unsupported(instruction.kind, instruction.scope, advice)

    runs(*kinds)(handler)
