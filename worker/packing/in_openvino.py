"""Weights in fewer bits in a file of OpenVINO (IR).

Floats are cast here, by the operators that OpenVINO itself stores half precision with. Integers are NNCF's, because
its arrangement of operators is what OpenVINO's int8 and int4 kernels recognize: of any other, the weights are made
float32 again when the file is loaded, or in each call.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from app.core.errors import Problem
from app.core.recipes import Step, WeightQuantization
from worker.exporting.openvino import compute_in, read, write
from worker.exporting.openvino_layers import layers_of_operation, operations_of
from worker.openvino_extra import nncf, openvino, unheard
from worker.quantization.layers_in_openvino import openvino_layer_table
from worker.run import Run

FEWEST_VALUES = 64
_INTEGERS = frozenset({"i8", "u8", "i4", "u4"})
_TYPES = {"float16": "f16", "bfloat16": "bf16"}


def cast_weights(source: Path, target: Path, dtype: str, left_alone: Collection[str], *, computed_in_it: bool) -> None:
    """`dtype` is what weights are stored in. A tensor that a layer of `left_alone` reads stays as it is."""
    model: Any = read(source)
    for operation in model.get_ordered_ops():
        if _is_weight(operation) and not layers_of_operation(operation) & set(left_alone):
            _cast(operation, _TYPES[dtype])
    if dtype == "bfloat16" and computed_in_it:
        compute_in(model, "bf16")
    write(model, target)


def _is_weight(operation: Any) -> bool:
    if operation.get_type_name() != "Constant" or operation.get_element_type().get_type_name() != "f32":
        return False
    return int(np.prod(operation.get_output_shape(0))) >= FEWEST_VALUES


def _cast(weight: Any, dtype: str) -> None:
    library = openvino()
    stored = library.opset13.constant(weight.data, dtype=getattr(library.Type, dtype), name=weight.get_friendly_name())
    if not np.isfinite(stored.data.astype(np.float32)).all():
        return
    read_again = library.opset13.convert(stored, "f32")
    for reader in weight.output(0).get_target_inputs():
        reader.replace_source_output(read_again.output(0))


def compress_weights(
    source: Path, target: Path, step: WeightQuantization, left_alone: Collection[str], run: Run
) -> None:
    """By round-to-nearest: in 8 bits with one scale for each output channel, in 4 bits for each group of neighbours."""
    library, model = nncf(), read(source)
    with unheard():
        compressed = library.compress_weights(
            model,
            mode=getattr(library.CompressWeightsMode, f"INT{step.bits}_{'ASYM' if step.method == 'affine' else 'SYM'}"),
            group_size=-1 if step.bits == 8 else step.group_size or -1,
            all_layers=None if step.bits == 8 else True,
            ignored_scope=library.IgnoredScope(names=operations_of(model, left_alone), validate=False),
            advanced_parameters=library.AdvancedCompressionParameters(
                group_size_fallback_mode=library.GroupSizeFallbackMode.ADJUST
            ),
        )
    check_holds_integers(compressed, step)
    for row in openvino_layer_table(read(source), compressed):
        run.detail("Layers in OpenVINO", **row)
    write(compressed, target)


def check_holds_integers(model: Any, step: Step) -> None:
    """Scalars and vectors don't count: zero points are integers too."""
    constants = (each for each in model.get_ops() if each.get_type_name() == "Constant")
    if not any(
        each.get_element_type().get_type_name() in _INTEGERS and len(each.get_output_shape(0)) >= 2
        for each in constants
    ):
        raise Problem(
            f"After {step.technique} the OpenVINO file holds no integer weights: NNCF knows none of the layers that "
            "the step may touch. Leave the step out, widen `only` and `exclude`, or ask for another format.",
            code="nothing_quantized",
            title="Nothing was quantized",
        )
