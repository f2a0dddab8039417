"""The fused encoder layer, which torch calls when nothing is trained, written out as the operators that can be."""

from typing import Any

import torch

from worker.loading.importing.instruction import Instruction, refuses, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.unsupported import Unsupported

aten = torch.ops.aten
WITH_GRADIENTS = "trace the network without torch.no_grad() around it, so that the layer is taken apart."


class _EncoderLayer:
    """`nn.TransformerEncoderLayer` on (batch, length, width), as `_transformer_encoder_layer_fwd` computes it."""

    def __init__(self, interpreter: Interpreter, instruction: Instruction) -> None:
        self.interpreter = interpreter
        self.scope = instruction.scope
        self.given = instruction.named_inputs()

    def write(self, operator: torch._ops.OpOverload, *arguments: Any) -> Any:
        return self.interpreter.write(operator, arguments, {}, self.scope)

    def answer(self) -> Any:
        x = self.given["src"]
        if self.given["norm_first"]:
            x = self.write(aten.add.Tensor, x, self.attention(self.norm(x, 1)))
            return self.write(aten.add.Tensor, x, self.feed_forward(self.norm(x, 2)))
        x = self.norm(self.write(aten.add.Tensor, x, self.attention(x)), 1)
        return self.norm(self.write(aten.add.Tensor, x, self.feed_forward(x)), 2)

    def norm(self, x: Any, number: int) -> Any:
        weight, bias = self.given[f"norm_weight_{number}"], self.given[f"norm_bias_{number}"]
        return self.write(aten.layer_norm.default, x, [self.given["embed_dim"]], weight, bias, self.given["eps"])

    def feed_forward(self, x: Any) -> Any:
        inner = self.write(aten.linear.default, x, self.given["ffn_weight_1"], self.given["ffn_bias_1"])
        active = self.write(aten.gelu.default if self.given["use_gelu"] else aten.relu.default, inner)
        return self.write(aten.linear.default, active, self.given["ffn_weight_2"], self.given["ffn_bias_2"])

    def attention(self, x: Any) -> Any:
        joined = self.write(aten.linear.default, x, self.given["qkv_weight"], self.given["qkv_bias"])
        heads = [self.heads(part) for part in self.write(aten.chunk.default, joined, 3, -1)]
        mixed = self.write(aten.scaled_dot_product_attention.default, *heads)
        merged = self.write(aten.flatten.using_ints, self.write(aten.transpose.int, mixed, 1, 2), 2)
        return self.write(aten.linear.default, merged, self.given["proj_weight"], self.given["proj_bias"])

    def heads(self, x: Any) -> Any:
        apart = self.write(aten.unflatten.int, x, -1, [self.given["num_heads"], -1])
        return self.write(aten.transpose.int, apart, 1, 2)


@runs("aten::_transformer_encoder_layer_fwd")
def encoder_layer(interpreter: Interpreter, instruction: Instruction) -> Any:
    layer = _EncoderLayer(interpreter, instruction)
    if layer.given.get("mask") is not None:
        raise Unsupported(instruction.kind, instruction.scope, WITH_GRADIENTS)
    return layer.answer()


refuses("aten::_native_multi_head_attention", advice=WITH_GRADIENTS)
