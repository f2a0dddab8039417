"""What the program decided by looking at sizes: a note of each, in words."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, fx

from worker.loading.importing.instruction import Instruction
from worker.loading.importing.values import Traced, examples, is_from_data
from worker.loading.unsupported import Unsupported

if TYPE_CHECKING:
    from worker.loading.importing.interpreter import Interpreter

DECIDED_BY_DATA = (
    "which way the network goes depends on the values of its input; move the decision out of the network, "
    "or write it with torch.where."
)
SYMBOLS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}


def decide(interpreter: "Interpreter", instruction: Instruction, decision: Any) -> Any:
    """What it is for the example inputs. Notes what a size has decided, refuses what data would."""
    if is_from_data(decision):
        interpreter.refuse(Unsupported(instruction.kind, instruction.scope, DECIDED_BY_DATA))
    elif isinstance(decision, Traced):
        guard = f"{_text(decision.node)} is {decision.example}"
        if guard not in interpreter.guards:
            interpreter.guards.append(guard)
    return examples(decision)


def _text(value: Any) -> str:
    """Such as `x.size(2) % 2`, for a node that computes with sizes."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(one) for one in value)}]"
    if not isinstance(value, fx.Node):
        return repr(value)
    if isinstance(value.meta["val"], Tensor):
        return value.name if value.op == "placeholder" else f"{value.meta.get('scope') or 'network'}:{value.name}"
    return _call_text(value)


def _call_text(node: fx.Node) -> str:
    arguments = [_text(one) for one in node.args]
    name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
    if name in ("sym_size", "sym_numel"):
        return f"{arguments[0]}.{name.removeprefix('sym_')}({', '.join(arguments[1:])})"
    if name in SYMBOLS and len(arguments) == 2:
        return f"{arguments[0]} {SYMBOLS[name]} {arguments[1]}"
    return f"{name}({', '.join(arguments)})"
