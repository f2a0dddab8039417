"""Takes blocks out of a network, and everything that nothing needs any more."""

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from worker.blocks.block import Block


def leave_out(module: fx.GraphModule, blocks: Sequence[Block]) -> None:
    """In place; `blocks` are in the graph's order. The last one goes first: what it keeps may be another's exit."""
    for block in reversed(blocks):
        if block.level is not None:
            put_layer(module, block.layers[0], without_level(module.get_submodule(block.layers[0]), block.level))
        else:
            block.exit.replace_all_uses_with(block.kept)
    module.graph.eliminate_dead_code()
    remove_unused(module)
    module.recompile()


def remove_unused(module: fx.GraphModule) -> None:
    """Modules, parameters and buffers that the graph neither calls nor reads."""
    used = {str(node.target) for node in module.graph.nodes if node.op in ("call_module", "get_attr")}
    for name, _ in [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]:
        if not any(name == path or name.startswith(f"{path}.") for path in used):
            owner, _, attribute = name.rpartition(".")
            delattr(module.get_submodule(owner), attribute)
    module.delete_all_unused_submodules()


def without_level(layer: nn.Module, level: int) -> nn.RNNBase:
    """A recurrent layer whose later levels have moved up by one. Their weights are the same tensors as before."""
    assert isinstance(layer, nn.RNNBase)
    tensors = {name: getattr(layer, name) for name in layer._flat_weights_names}
    kept = [number for number in range(layer.num_layers) if number != level]
    shorter = _with_levels(layer, len(kept))
    for name in shorter._flat_weights_names:
        stem, _, rest = name.rpartition("_l")
        number, _, way = rest.partition("_")
        setattr(shorter, name, tensors[f"{stem}_l{kept[int(number)]}" + (f"_{way}" if way else "")])
    return shorter.train(layer.training)


def _with_levels(layer: nn.RNNBase, levels: int) -> nn.RNNBase:
    settings = {name: getattr(layer, name) for name in ("bias", "batch_first", "bidirectional")}
    if isinstance(layer, nn.LSTM):
        settings["proj_size"] = layer.proj_size
    if isinstance(layer, nn.RNN):
        settings["nonlinearity"] = layer.nonlinearity
    if levels > 1:  # torch warns of dropout between the levels of one
        settings["dropout"] = layer.dropout
    kind: Any = type(layer)
    made: nn.RNNBase = kind(layer.input_size, layer.hidden_size, levels, **settings)
    return made


def put_layer(module: nn.Module, path: str, layer: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, layer)
