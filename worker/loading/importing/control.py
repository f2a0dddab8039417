"""Branches and loops: taken as the example inputs take them, with a note where a size decided."""

from typing import Any

from worker.loading.importing.dropout import OnlyInTraining, only_drops, only_reads
from worker.loading.importing.guards import decide
from worker.loading.importing.instruction import Instruction, computes, refuses, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.values import Traced, examples
from worker.loading.unsupported import Unsupported

MOST_ROUNDS = 2000
BOOKKEEPING = frozenset({"num_batches_tracked", "running_mean", "running_var"})


@runs("prim::If")
def branch(interpreter: Interpreter, instruction: Instruction) -> Any:
    condition = instruction.inputs[0]
    taken, other = instruction.blocks if examples(condition) else reversed(instruction.blocks)
    if not _only_raises(other):
        decide(interpreter, instruction, condition)
    if only_drops(interpreter, other):
        return instruction.answer(interpreter.run_block(other))
    by_mode = _depends_on_training(instruction.node.inputsAt(0))
    if by_mode and only_reads(other):
        answers = zip(interpreter.run_block(taken), interpreter.run_block(other), strict=True)
        return instruction.answer([OnlyInTraining.of(*each) for each in answers])
    if by_mode and _computes(other):
        interpreter.warnings.append(
            f"What {instruction.scope or 'the network'} does in training mode only is left out; "
            "it trains as it evaluates."
        )
    return instruction.answer(interpreter.run_block(taken))


@runs("prim::Loop")
def loop(interpreter: Interpreter, instruction: Instruction) -> Any:
    rounds, condition, *carried = instruction.inputs
    block = instruction.blocks[0]
    number = 0
    if isinstance(rounds, Traced):
        decide(interpreter, instruction, rounds)
    while number < examples(rounds) and decide(interpreter, instruction, condition):
        if number == MOST_ROUNDS:
            raise Unsupported("prim::Loop", instruction.scope, f"the loop runs more than {MOST_ROUNDS} times.")
        condition, *carried = interpreter.run_block(block, [number, *carried])
        number += 1
    return instruction.answer(carried)


def _only_raises(block: Any) -> bool:
    return any(node.kind() == "prim::RaiseException" for node in block.nodes())


def _depends_on_training(value: Any) -> bool:
    node = value.node()
    if node.kind() == "prim::GetAttr":
        return bool(node.s("name") == "training")
    if node.kind() in ("prim::If", "aten::__not__", "aten::__and__", "aten::__or__"):
        return any(_depends_on_training(one) for one in node.inputs())
    return False


def _computes(block: Any) -> bool:
    """Whether a block works on tensors, beyond the running statistics of a batch norm."""
    nodes = [inner for node in block.nodes() for inner in _with_inner(node)]
    if any(node.kind() == "prim::GetAttr" and node.s("name") in BOOKKEEPING for node in nodes):
        return False
    return any(
        node.kind().startswith("aten::") and any(str(one.type()) == "Tensor" for one in node.outputs())
        for node in nodes
    )


def _with_inner(node: Any) -> list[Any]:
    return [node, *(one for block in node.blocks() for inner in block.nodes() for one in _with_inner(inner))]


refuses(
    "prim::RaiseException",
    advice="the network refuses the example inputs; say in `inputs` which shapes and types it takes.",
)


@computes("prim::Enter", "prim::Exit")
def enter_or_exit(context: Any, *_exception: Any) -> Any:
    """What blocks such as `no_grad` do has been inlined."""
    return context
