"""Dropout whose probability the program chooses by its mode: 0 in evaluation, as in `p if self.training else 0.0`.

That is how torch writes attention. The answers are those of evaluation; the probability is written for training.
"""

from typing import Any

from worker.loading.importing.instruction import Instruction, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.operators import call_operator

_DROPS = ("aten::dropout", "aten::dropout_")
_READS = ("prim::GetAttr", "prim::Constant")


class OnlyInTraining(float):
    """0, and in training mode `rate`."""

    rate: float

    @classmethod
    def of(cls, evaluating: Any, training: Any) -> Any:
        """What stands for a number that is `evaluating` in the one mode and `training` in the other."""
        if not (isinstance(evaluating, float) and isinstance(training, float)) or evaluating != 0 or training == 0:
            return evaluating
        number = cls(evaluating)
        number.rate = training
        return number


def only_reads(block: Any) -> bool:
    """Whether a block answers settings and does nothing."""
    return all(node.kind() in _READS for node in block.nodes())


def only_drops(interpreter: Interpreter, block: Any) -> bool:
    """Whether a block, but for checks, is dropout with a probability that is there in training alone."""
    tensors = [node for node in block.nodes() if any(str(one.type()) == "Tensor" for one in node.outputs())]
    return bool(tensors) and all(
        node.kind() in _DROPS and isinstance(interpreter.value_of(node.inputsAt(1)), OnlyInTraining) for node in tensors
    )


@runs(*_DROPS)
def dropout(interpreter: Interpreter, instruction: Instruction) -> Any:
    values, rate, _training = instruction.inputs
    if isinstance(rate, OnlyInTraining):
        instruction.inputs = [values, rate.rate, False]
    return call_operator(interpreter, instruction)


@runs("aten::scaled_dot_product_attention")
def attention(interpreter: Interpreter, instruction: Instruction) -> Any:
    given = instruction.named_inputs()
    answer = call_operator(interpreter, instruction)
    if isinstance(given["dropout_p"], OnlyInTraining):
        answer.node.update_arg(list(given).index("dropout_p"), given["dropout_p"].rate)
    return answer
